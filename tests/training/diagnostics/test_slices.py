"""Bad slices that were planted are found, and none is found where there is none."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy.stats import false_discovery_control, fisher_exact

from platform_lib.data.contract import Column
from platform_lib.training.diagnostics.held_out import HeldOut, NotComputable
from platform_lib.training.diagnostics.slices import benjamini_hochberg, search_slices
from platform_lib.training.diagnostics.tables import SliceSearch
from tests.training.diagnostics.tables_of_rows import numbers, two_classes


def _evenly_wrong(seed: int, **changed: Any) -> HeldOut:
    """Rows whose predictions are wrong at random, whatever their features."""
    rows = two_classes(seed=seed, **changed).rows
    wrong = np.random.default_rng(seed + 100).random(len(rows)) < 0.1
    return _with_errors(rows, wrong)


def _with_errors(rows: HeldOut, wrong: Any) -> HeldOut:
    predicted = rows.predictions.values
    other = np.where(predicted == "yes", "no", "yes")
    return dataclasses.replace(rows, truth=np.where(wrong, other, predicted).astype(object))


def _names(found: SliceSearch) -> list[tuple[str, str]]:
    return [(part.column, part.value) for part in found.found]


def test_a_planted_bad_category_is_found_first() -> None:
    rows = _evenly_wrong(0)
    in_pisa = (rows.frame["city"] == "Pisa").to_numpy()
    worse = in_pisa & (np.random.default_rng(1).random(len(rows)) < 0.25)
    rows = _with_errors(rows, worse | (rows.truth != rows.predictions.values))

    found = search_slices(rows, [])

    first = found.found[0]
    assert (first.column, first.value, first.rows) == ("city", "Pisa", int(in_pisa.sum()))
    wrong = rows.truth != rows.predictions.values
    assert first.loss == pytest.approx(wrong[in_pisa].mean(), rel=1e-5)
    assert first.loss_elsewhere == pytest.approx(wrong[~in_pisa].mean(), rel=1e-5)
    assert first.interval.low <= first.loss <= first.interval.high
    table = [
        [int(wrong[in_pisa].sum()), int((~wrong[in_pisa]).sum())],
        [int(wrong[~in_pisa].sum()), int((~wrong[~in_pisa]).sum())],
    ]
    assert first.p_value == pytest.approx(fisher_exact(table, alternative="greater").pvalue, rel=1e-4)
    assert first.p_value <= first.adjusted_p_value < 0.05


def test_a_planted_bad_interval_of_a_number_is_found_in_a_regression() -> None:
    rows = numbers().rows
    high = (rows.frame["noise"] > rows.frame["noise"].quantile(0.8)).to_numpy()
    shift = np.where(high, np.random.default_rng(2).normal(scale=4, size=len(rows)), 0)
    rows = dataclasses.replace(rows, truth=rows.truth + shift)

    found = search_slices(rows, [])

    assert found.found[0].column == "noise"
    assert found.found[0].value.startswith(">= ")
    assert found.loss == "mean absolute error"
    assert found.found[0].expected_loss is None


@pytest.mark.parametrize("make", [_evenly_wrong, lambda seed: numbers(seed=seed).rows], ids=["classes", "numbers"])
def test_nothing_is_found_where_errors_do_not_depend_on_features(make: Any) -> None:
    found = [search_slices(make(seed), []) for seed in range(20)]

    assert all(search.looked_at > 15 for search in found)
    assert sum(bool(search.found) for search in found) <= 3


def test_configured_columns_are_listed_whether_worse_or_not() -> None:
    found = search_slices(_evenly_wrong(0), ["city"])

    assert {part.value for part in found.configured} == {"Rome", "Pisa", "Bari", "Como"}
    assert all(part.configured for part in found.configured)


def test_a_slice_of_few_rows_is_not_looked_at() -> None:
    rows = _evenly_wrong(0)
    frame = rows.frame.assign(city=["Rome"] * (len(rows) - 29) + ["Pisa"] * 29)

    found = search_slices(dataclasses.replace(rows, frame=frame), ["city"])

    assert found.smallest == 30
    assert found.configured == []  # and the other rows of Rome are too few to compare with


def test_a_slice_of_a_private_column_has_a_number_instead_of_its_value() -> None:
    rows = _evenly_wrong(0, city=Column(type="string", log=False))
    in_pisa = (rows.frame["city"] == "Pisa").to_numpy()

    found = search_slices(_with_errors(rows, in_pisa), [])

    assert _names(found)[0] == ("city", "group 3")


def test_two_dozen_rows_are_too_few() -> None:
    rows = two_classes(held_out=24).rows

    with pytest.raises(NotComputable, match="24 held-out rows are too few to compare parts of them: 60 or more"):
        search_slices(rows, [])


def test_p_values_are_adjusted_as_by_scipy() -> None:
    p_values = np.random.default_rng(0).random(50) ** 3

    assert benjamini_hochberg(p_values) == pytest.approx(false_discovery_control(p_values, method="bh"))
    assert benjamini_hochberg(np.array([])).tolist() == []
