"""Single held-out rows: those with the largest errors, and those whose label is likely wrong."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.data.contract import Column
from platform_lib.metrics.classification import encode_labels
from platform_lib.model.artifact import category_text
from platform_lib.training.diagnostics.curves import require_probabilities
from platform_lib.training.diagnostics.held_out import HeldOut, NotComputable, rounded
from platform_lib.training.diagnostics.slices import row_losses
from platform_lib.training.diagnostics.tables import LabelErrors, RowRecord

MOST_ROWS = 20
MOST_VALUES = 30
LIMIT = 0.05
"""Probability of the given label below which it may be wrong."""


def worst_rows(rows: HeldOut, strongest: Sequence[str]) -> list[RowRecord]:
    """The wrong rows whose class had the lowest probability, or those with the largest absolute errors.

    Args:
        rows: The held-out rows.
        strongest: Features, the strongest first; the others follow in the table's order.
    Raises:
        NotComputable: A prediction is not a finite number.
    """
    losses = row_losses(rows)
    given = _given_probabilities(rows)
    wrong = np.flatnonzero(losses > 0)
    order = np.argsort(-losses[wrong] if given is None else given[wrong], kind="stable")
    return _records(rows, wrong[order][:MOST_ROWS], strongest, given)


def label_errors(rows: HeldOut, strongest: Sequence[str]) -> LabelErrors:
    """Rows of a label with a probability below 5 % whose probability of another label is high for that label.

    High is at least the mean probability of that label over the rows that have it, as in confident learning (Northcutt
    et al., 2021). The model has not seen the rows, so it does not repeat their labels.

    Args:
        rows: The held-out rows.
        strongest: As in `worst_rows`.
    Raises:
        NotComputable: The model gives no probabilities.
    """
    codes = encode_labels(rows.truth, rows.predictions)
    probabilities = require_probabilities(rows.predictions)
    known = codes.truth < codes.known
    usual = np.array(
        [
            probabilities[codes.truth == number, number].mean() if (codes.truth == number).any() else np.inf
            for number in range(codes.known)
        ]
    )
    is_high = probabilities >= usual
    suspect = (probabilities < LIMIT) & (is_high.sum(axis=1, keepdims=True) - is_high > 0)
    found = np.flatnonzero(known & suspect[np.arange(len(rows)), np.where(known, codes.truth, 0)])
    given = _given_probabilities(rows)
    assert given is not None
    order = found[np.argsort(given[found], kind="stable")]
    return LabelErrors(
        likely=_records(rows, order[:MOST_ROWS], strongest, given),
        count=len(found),
        by_chance=rounded((probabilities * suspect)[known].sum()),
        limit=LIMIT,
    )


def _given_probabilities(rows: HeldOut) -> NDArray[np.float64] | None:
    """Per row the probability of its actual class, 0 for a class that the model does not know."""
    if not rows.is_classification:
        return None
    try:
        probabilities = require_probabilities(rows.predictions)
    except NotComputable:
        return None
    codes = encode_labels(rows.truth, rows.predictions)
    known = codes.truth < codes.known
    return np.where(known, probabilities[np.arange(len(rows)), np.where(known, codes.truth, 0)], 0.0)


def _records(
    rows: HeldOut, positions: NDArray[np.intp], strongest: Sequence[str], given: NDArray[np.float64] | None
) -> list[RowRecord]:
    contract = rows.contract
    order = dict.fromkeys([*strongest, *contract.features])
    shown = [name for name in order if not contract.columns[name].is_private][:MOST_VALUES]
    shows_id = rows.ids is not None and contract.id is not None and not contract.columns[contract.id].is_private

    def value(of: Any) -> str | float:
        return category_text(of) if rows.is_classification else rounded(of)

    records = []
    for row in positions.tolist():
        actual, predicted = rows.truth[row], rows.predictions.values[row]
        shows_error = rows.shows_target and not rows.is_classification
        records.append(
            RowRecord(
                row=row,
                table_row=int(rows.table_rows[row]),
                id=str(rows.ids[row]) if shows_id and rows.ids is not None else None,
                actual=value(actual) if rows.shows_target else None,
                predicted=value(predicted),
                probability=None if given is None or not rows.shows_target else rounded(given[row]),
                error=rounded(predicted - actual) if shows_error else None,
                values={name: _text(rows.frame[name].iloc[row], contract.columns[name]) for name in shown},
            )
        )
    return records


def _text(value: Any, column: Column) -> str:
    if pd.isna(value):
        return "missing"
    if column.type == "boolean":
        return category_text(bool(value))
    if column.type == "datetime":
        return pd.Timestamp(value).isoformat(sep=" ").removesuffix(" 00:00:00")
    return str(value)[:200] if column.type == "string" else f"{value:.6g}"
