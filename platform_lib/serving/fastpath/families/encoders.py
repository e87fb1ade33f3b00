"""Encoders of categories: a table of what scikit-learn's own encoder makes of each category, asked once, and a look into it for each value.

So rare, unknown and dropped categories mean what they mean there, and target encodings are those that were learnt.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import Kind, NotCovered, Numbers, Step, Texts, TransformerFamily, not_infinite

_UNKNOWN = "\0 no category is called so"
_UNKNOWN_NUMBER = 1.234567e211


class _Column:
    """One column's categories and what each becomes."""

    def __init__(self, rows: dict[Any, int], outputs: Numbers, unknown: int | None) -> None:
        self.rows, self.outputs, self.unknown = rows, outputs, unknown

    def encode(self, values: Sequence[Any]) -> Numbers:
        get, unknown = self.rows.get, self.unknown
        if unknown is None:
            try:
                return self.outputs[[self.rows[value] for value in values]]
            except KeyError as err:
                raise ValueError("a category is not known") from err
        return self.outputs[[get(value, unknown) for value in values]]


def _encoder(fitted: Any, kind: Kind) -> Step:
    if kind not in ("numbers", "texts"):
        raise NotCovered(f"it is given {kind}")
    probes = [_as_given(categories, kind) for categories in fitted.categories_]
    usual = [values[0] for values in probes]
    widths = _widths(fitted)
    columns, start = [], 0
    for place, (values, width) in enumerate(zip(probes, widths, strict=True)):
        asked = [[*usual[:place], value, *usual[place + 1 :]] for value in values]
        outputs = _ask(fitted, asked, kind)[:, start : start + width]
        missing = _try(fitted, [[*usual[:place], np.nan, *usual[place + 1 :]]], kind)
        unknown = _try(
            fitted, [[*usual[:place], _UNKNOWN if kind == "texts" else _UNKNOWN_NUMBER, *usual[place + 1 :]]], kind
        )
        rows = {_key(value): row for row, value in enumerate(values)}
        if missing is not None:
            rows.setdefault(None, len(outputs))
            outputs = np.vstack((outputs, missing[:, start : start + width]))
        if unknown is not None:
            outputs = np.vstack((outputs, unknown[:, start : start + width]))
        columns.append(_Column(rows, np.ascontiguousarray(outputs), None if unknown is None else len(outputs) - 1))
        if None not in rows and unknown is not None:
            raise NotCovered("it refuses a missing value but not an unknown one")
        start += width

    def of_texts(block: Texts) -> Numbers:
        return np.hstack([column.encode(values) for column, values in zip(columns, block, strict=True)])

    def of_numbers(block: Numbers) -> Numbers:
        not_infinite(block)
        return np.hstack(
            [
                column.encode([None if value != value else value for value in block[:, place]])
                for place, column in enumerate(columns)
            ]
        )

    return Step(of_texts if kind == "texts" else of_numbers)


def _as_given(categories: Any, kind: Kind) -> list[Any]:
    values = categories.tolist()
    expected = str if kind == "texts" else float
    if not values or not all(value is None or isinstance(value, expected) or value != value for value in values):
        raise NotCovered("its categories are of another kind than its column")
    return list(values)


def _key(value: Any) -> Any:
    return None if value is None or value != value else value


def _widths(fitted: Any) -> list[int]:
    if hasattr(fitted, "_n_features_outs"):
        return [int(width) for width in fitted._n_features_outs]
    if type(fitted).__name__ == "TargetEncoder" and fitted.target_type_ == "multiclass":
        return [len(fitted.classes_)] * len(fitted.categories_)
    return [1] * len(fitted.categories_)


def _ask(fitted: Any, rows: list[list[Any]], kind: Kind) -> Numbers:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that an array has not, and of categories that are unknown on purpose
        made = fitted.transform(np.array(rows, dtype=object if kind == "texts" else np.float64))
    made = made.toarray() if hasattr(made, "toarray") else made
    if made.dtype != np.float64:
        raise NotCovered(f"it makes {made.dtype}")
    return np.asarray(made)


def _try(fitted: Any, rows: list[list[Any]], kind: Kind) -> Numbers | None:
    try:
        return _ask(fitted, rows, kind)
    except ValueError:
        return None


TRANSFORMERS: TransformerFamily = {
    "sklearn.preprocessing._encoders.OneHotEncoder": _encoder,
    "sklearn.preprocessing._encoders.OrdinalEncoder": _encoder,
    "sklearn.preprocessing._target_encoder.TargetEncoder": _encoder,
}
