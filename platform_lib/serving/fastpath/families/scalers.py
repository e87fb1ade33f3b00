"""Scalers and other elementwise functions of numbers."""

from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import (
    Kind,
    NotCovered,
    Numbers,
    Step,
    Transform,
    TransformerFamily,
    require_finite,
    require_no_infinity,
    require_numbers,
)


def _standard(fitted: Any, kind: Kind) -> Step:
    require_numbers(kind)
    return Step(_shifted(fitted.mean_ if fitted.with_mean else None, fitted.scale_ if fitted.with_std else None))


def _robust(fitted: Any, kind: Kind) -> Step:
    require_numbers(kind)
    return Step(
        _shifted(fitted.center_ if fitted.with_centering else None, fitted.scale_ if fitted.with_scaling else None)
    )


def _max_abs(fitted: Any, kind: Kind) -> Step:
    require_numbers(kind)
    if getattr(fitted, "clip", False):
        raise NotCovered("it clips")
    return Step(_shifted(None, fitted.scale_))


def _shifted(center: Any, scale: Any) -> Transform:
    def transform(block: Numbers) -> Numbers:
        block = require_no_infinity(block)
        if center is not None:
            block = block - center
        return block if scale is None else block / scale

    return transform


def _min_max(fitted: Any, kind: Kind) -> Step:
    require_numbers(kind)
    low, high = fitted.feature_range

    def transform(block: Numbers) -> Numbers:
        scaled: Numbers = require_no_infinity(block) * fitted.scale_ + fitted.min_
        return np.clip(scaled, low, high) if fitted.clip else scaled

    return Step(transform)


def _binarizer(fitted: Any, kind: Kind) -> Step:
    require_numbers(kind)
    return Step(lambda block: (require_finite(block) > fitted.threshold).astype(np.float64))


def _function(fitted: Any, kind: Kind) -> Step:
    """Cover the identity and numpy's ufuncs; another function may need a data frame."""
    if fitted.func is None and not fitted.validate:
        return Step(lambda block: block, kind)
    require_numbers(kind)
    if not isinstance(fitted.func, np.ufunc) or fitted.kw_args or fitted.validate:
        raise NotCovered("its function is not a numpy ufunc")
    function = fitted.func
    return Step(lambda block: np.asarray(function(block), dtype=np.float64))


TRANSFORMERS: TransformerFamily = {
    "sklearn.preprocessing._data.StandardScaler": _standard,
    "sklearn.preprocessing._data.RobustScaler": _robust,
    "sklearn.preprocessing._data.MaxAbsScaler": _max_abs,
    "sklearn.preprocessing._data.MinMaxScaler": _min_max,
    "sklearn.preprocessing._data.Binarizer": _binarizer,
    "sklearn.preprocessing._function_transformer.FunctionTransformer": _function,
}
