"""Probe rows cover every edge of a column and values from the profile, deterministically."""

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
