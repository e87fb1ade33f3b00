"""The worst rows, and the rows whose label is likely wrong."""

import dataclasses

import msgspec
import numpy as np
import pytest

from platform_lib.data.contract import Column, DataContract
from platform_lib.metrics import take
from platform_lib.training.diagnostics.single_rows import MOST_ROWS, label_errors, worst_rows
from tests.training.diagnostics.tables_of_rows import (
    classes,
    contract_of,
    fitted,
    numbers,
    raw_features,
    two_classes,
)


def test_the_worst_rows_of_classes_are_wrong_and_least_likely_first() -> None:
    rows = two_classes().rows

    found = worst_rows(rows, ["weak"])

    wrong = rows.truth != rows.predictions.values
    given = np.where(rows.truth == "yes", rows.predictions.probabilities[:, 1], rows.predictions.probabilities[:, 0])  # type: ignore[index]
    expected = [row for row in np.argsort(given) if wrong[row]][:MOST_ROWS]
    assert [record.row for record in found] == expected
    first = found[0]
    assert (first.actual, first.predicted) == (rows.truth[first.row], rows.predictions.values[first.row])
    assert first.probability == pytest.approx(given[first.row], rel=1e-5)
    assert next(iter(first.values)) == "weak"
    assert first.values["city"] == rows.frame["city"].iloc[first.row]
    assert first.values["member"] in ("true", "false")
    assert first.values["day"].startswith("2026-")


def test_the_worst_rows_of_numbers_have_the_largest_errors() -> None:
    rows = numbers().rows

    found = worst_rows(rows, [])

    residuals = rows.predictions.values - rows.truth
    assert [record.row for record in found] == np.argsort(-np.abs(residuals))[:MOST_ROWS].tolist()
    assert found[0].error == pytest.approx(residuals[found[0].row], rel=1e-5)


def test_the_row_of_the_table_and_the_id_are_given_and_a_private_id_is_not() -> None:
    made = two_classes()
    ids = np.array([f"c{number}" for number in range(len(made.rows))], dtype=object)
    for column, expected in ((Column(type="string"), True), (Column(type="string", log=False), False)):
        contract = dataclasses.replace(
            made.rows, table_rows=np.arange(len(ids)) * 5, ids=ids, contract=_with_id(made.rows.contract, column)
        )

        first = worst_rows(contract, [])[0]

        assert first.table_row == first.row * 5
        assert first.id == (f"c{first.row}" if expected else None)


def _with_id(contract: DataContract, column: Column) -> DataContract:
    return msgspec.structs.replace(contract, id="customer", columns={**contract.columns, "customer": column})


def test_values_of_private_columns_and_of_a_private_target_are_not_shown() -> None:
    hidden = two_classes(city=Column(type="string", sensitive=True, log=False), strong=Column(type="number", log=False))
    private_target = numbers(target=Column(type="number", log=False))

    of_classes, of_numbers = worst_rows(hidden.rows, ["strong"])[0], worst_rows(private_target.rows, [])[0]

    assert set(of_classes.values) == {"weak", "noise", "member", "day"}
    assert (of_numbers.actual, of_numbers.error) == (None, None)
    assert of_numbers.predicted is not None


def test_planted_wrong_labels_are_among_the_likely_label_errors() -> None:
    features = raw_features(4000, 0)
    features["strong"] = features["strong"] * 5
    truth = classes(features, ("no", "yes"), 0)
    clear = np.flatnonzero(np.abs(features["strong"]) > 4)
    flipped = np.random.default_rng(4).choice(clear, size=80, replace=False)
    wrong = truth.copy()
    wrong[flipped] = np.where(truth[flipped] == "yes", "no", "yes")
    contract = contract_of(Column(type="string", allowed=["no", "yes"]))
    made = fitted(features, wrong, contract, held_out=2000)
    planted = {row - 2000 for row in flipped.tolist() if row >= 2000}

    found = label_errors(made.rows, [])

    likely = {record.row for record in found.likely}
    assert len(likely & planted) >= 0.9 * len(likely)
    assert 0.7 * len(planted) <= found.count <= 2 * len(planted)
    assert all(record.probability < found.limit for record in found.likely if record.probability is not None)


def test_with_right_labels_and_probabilities_there_are_about_as_many_as_by_chance() -> None:
    ratios = []
    for seed in range(5):
        found = label_errors(two_classes(seed=seed, rows=6000, held_out=4000).rows, [])
        ratios.append(found.count / found.by_chance)

    assert 0.6 < float(np.mean(ratios)) < 1.6


def test_permuted_rows_give_the_same_rows() -> None:
    rows = two_classes().rows
    order = np.random.default_rng(5).permutation(len(rows))
    shuffled = dataclasses.replace(
        rows,
        frame=rows.frame.iloc[order],
        truth=rows.truth[order],
        predictions=take(rows.predictions, order),
        table_rows=rows.table_rows[order],
    )

    for one, other in (
        (worst_rows(rows, []), worst_rows(shuffled, [])),
        (label_errors(rows, []).likely, label_errors(shuffled, []).likely),
    ):
        assert [record.table_row for record in one] == [record.table_row for record in other]
        assert [record.values for record in one] == [record.values for record in other]
