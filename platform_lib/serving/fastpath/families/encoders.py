"""Encoders of categories, as tables of scikit-learn's own output per category.

The fitted encoder is called once per category, and each value is then looked up. So rare, unknown and dropped
categories are treated as scikit-learn treats them, and target encodings are the learned ones.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import (
    Kind,
    NotCovered,
    Numbers,
    Step,
    Texts,
    TransformerFamily,
    private,
    require_no_infinity,
)

_UNKNOWN = "\0 not a category"
_UNKNOWN_NUMBER = 1.234567e211


class _Column:
    """The categories of one column and the output for each."""

    def __init__(self, rows: dict[Any, int], outputs: Numbers, unknown: int | None) -> None:
        self.rows, self.outputs, self.unknown = rows, outputs, unknown

    def encode(self, values: Sequence[Any]) -> Numbers:
        """Return the output for n values, shape (n, outputs); raises ValueError for an unknown category."""
        get, unknown = self.rows.get, self.unknown
        if unknown is None:
            try:
                return self.outputs[[self.rows[value] for value in values]]
            except KeyError as err:
                raise ValueError("a category is unknown") from err
        return self.outputs[[get(value, unknown) for value in values]]


def _encoder(fitted: Any, kind: Kind) -> Step:
    if kind not in ("numbers", "texts"):
        raise NotCovered(f"its input is {kind}")
    probes = [_as_given(categories, kind) for categories in fitted.categories_]
    usual = [values[0] for values in probes]
    widths = _widths(fitted)
    columns, start = [], 0
    for position, (values, width) in enumerate(zip(probes, widths, strict=True)):
        combined = [[*usual[:position], value, *usual[position + 1 :]] for value in values]
        outputs = _transform(fitted, combined, kind)[:, start : start + width]
        missing = _transform_or_none(fitted, [[*usual[:position], np.nan, *usual[position + 1 :]]], kind)
        unknown = _transform_or_none(
            fitted,
            [[*usual[:position], _UNKNOWN if kind == "texts" else _UNKNOWN_NUMBER, *usual[position + 1 :]]],
            kind,
        )
        rows = {_key(value): row for row, value in enumerate(values)}
        if missing is not None:
            rows.setdefault(None, len(outputs))
            outputs = np.vstack((outputs, missing[:, start : start + width]))
        if unknown is not None:
            outputs = np.vstack((outputs, unknown[:, start : start + width]))
        columns.append(_Column(rows, np.ascontiguousarray(outputs), None if unknown is None else len(outputs) - 1))
        if None not in rows and unknown is not None:
            raise NotCovered("it refuses missing values but accepts unknown ones")
        start += width

    def of_texts(block: Texts) -> Numbers:
        return np.hstack([column.encode(values) for column, values in zip(columns, block, strict=True)])

    def of_numbers(block: Numbers) -> Numbers:
        require_no_infinity(block)
        return np.hstack(
            [
                column.encode([None if value != value else value for value in block[:, position]])
                for position, column in enumerate(columns)
            ]
        )

    return Step(of_texts if kind == "texts" else of_numbers)


def _as_given(categories: Any, kind: Kind) -> list[Any]:
    values = categories.tolist()
    expected = str if kind == "texts" else float
    if not values or not all(value is None or isinstance(value, expected) or value != value for value in values):
        raise NotCovered("its categories are not of its column's kind")
    return list(values)


def _key(value: Any) -> Any:
    return None if value is None or value != value else value


def _widths(fitted: Any) -> list[int]:
    if type(fitted).__name__ == "OneHotEncoder":
        return [int(width) for width in private(fitted, "_n_features_outs")]
    if type(fitted).__name__ == "TargetEncoder" and fitted.target_type_ == "multiclass":
        return [len(fitted.classes_)] * len(fitted.categories_)
    return [1] * len(fitted.categories_)


def _transform(fitted: Any, rows: list[list[Any]], kind: Kind) -> Numbers:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an array has no column names, and some categories are unknown on purpose
        output = fitted.transform(np.array(rows, dtype=object if kind == "texts" else np.float64))
    output = output.toarray() if hasattr(output, "toarray") else output
    if output.dtype != np.float64:
        raise NotCovered(f"its output is {output.dtype}")
    return np.asarray(output)


def _transform_or_none(fitted: Any, rows: list[list[Any]], kind: Kind) -> Numbers | None:
    try:
        return _transform(fitted, rows, kind)
    except ValueError:
        return None


TRANSFORMERS: TransformerFamily = {
    "sklearn.preprocessing._encoders.OneHotEncoder": _encoder,
    "sklearn.preprocessing._encoders.OrdinalEncoder": _encoder,
    "sklearn.preprocessing._target_encoder.TargetEncoder": _encoder,
}
