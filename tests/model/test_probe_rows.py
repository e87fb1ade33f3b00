"""Probe rows cover every edge of a column and values from the profile, deterministically."""

import pytest

from platform_lib.data.contract import Column, DataContract
from platform_lib.model.artifact import predict
from platform_lib.model.probe_rows import probe_rows
from platform_lib.model.profile import build_profile, parse_profile
from tests.serving.fastpath.pipelines import data, example
from tests.serving.sample_models import CLASSIFICATION, fitted


def test_probe_rows_include_every_edge_and_values_from_the_profile() -> None:
    profile = parse_profile(build_profile(data(), predict(fitted(), data()), CLASSIFICATION))
    asked = probe_rows(CLASSIFICATION, example(), profile)
    assert asked == probe_rows(CLASSIFICATION, example(), profile)
    by_column = dict(zip(CLASSIFICATION.features, (set(values) for values in zip(*asked, strict=True)), strict=True))
    assert {None, 7.0, -(10**12)} <= by_column["age"]
    assert {
        "no such category",
        None,
        "Bern",
        "Zug",
        f" {example()[CLASSIFICATION.features.index('town')]}\t",
    } <= by_column["town"]
    assert {1e30, -1e30} <= by_column["score"]
    assert None not in by_column["score"]
    assert by_column["vip"] == {True, False, None}


@pytest.mark.parametrize("width", [1, 40, 300])
def test_every_column_has_all_its_edges_in_a_bounded_number_of_rows(width: int) -> None:
    columns = {f"c{place}": Column(type="number", nullable=place % 2 == 0, min=2.0, max=5.0) for place in range(width)}
    target = {"y": Column(type="string", allowed=["a", "b"])}
    contract = DataContract(name="wide", path="w.csv", task="classification", target="y", columns={**columns, **target})

    rows = probe_rows(contract, (3.5,) * width, None)

    assert len(rows) < 700
    for place in range(width):
        # Alone in a narrow table, beside the example's values elsewhere.
        alone = [row for row in rows if sum(value != 3.5 for value in row) <= max(1, width // 50 + 1)]
        edges = {1e30, -1e30, 1e-300, 2.0, 5.0} | ({None} if place % 2 == 0 else set())
        assert edges <= {row[place] for row in alone}
