"""Imputers that fill missing values with one value per column, and the library's own `EmptyColumnsAsZero`."""

from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import (
    Kind,
    NotCovered,
    Numbers,
    Step,
    Texts,
    TransformerFamily,
    require_no_infinity,
    require_numbers,
)


def _simple(fitted: Any, kind: Kind) -> Step:
    if not (isinstance(fitted.missing_values, float) and np.isnan(fitted.missing_values)):
        raise NotCovered("its missing_values is not NaN")
    if kind == "texts":
        return _texts(fitted)
    require_numbers(kind)
    statistics = np.asarray(fitted.statistics_, dtype=np.float64)
    kept = (
        None if fitted.keep_empty_features or not np.isnan(statistics).any() else np.flatnonzero(~np.isnan(statistics))
    )
    fill = statistics if kept is None else statistics[kept]
    indicated = fitted.indicator_.features_ if fitted.add_indicator else None

    def transform(block: Numbers) -> Numbers:
        missing = np.isnan(require_no_infinity(block))
        chosen, gaps = (block, missing) if kept is None else (block[:, kept], missing[:, kept])
        filled = np.where(gaps, fill, chosen)
        return filled if indicated is None else np.hstack((filled, missing[:, indicated]))

    return Step(transform)


def _texts(fitted: Any) -> Step:
    if fitted.add_indicator:
        raise NotCovered("it adds an indicator of missing texts")
    fill = fitted.statistics_.tolist()
    if not all(isinstance(value, str) for value in fill):
        raise NotCovered("it fills texts with other values")

    def transform(block: Texts) -> Texts:
        return [
            [value if known is None else known for known in column] for value, column in zip(fill, block, strict=True)
        ]

    return Step(transform, "texts")


def _empty_columns(fitted: Any, kind: Kind) -> Step:
    require_numbers(kind)
    is_empty = np.asarray(fitted.is_empty_, dtype=bool)
    if not is_empty.any():
        return Step(lambda block: block)
    return Step(lambda block: np.where(is_empty, 0.0, block))


TRANSFORMERS: TransformerFamily = {
    "sklearn.impute._base.SimpleImputer": _simple,
    "platform_lib.project.transformers.EmptyColumnsAsZero": _empty_columns,
}
