"""Scalers and other functions of single numbers."""

from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import (
    Kind,
    NotCovered,
    Numbers,
    Run,
    Step,
    TransformerFamily,
    finite,
    need_numbers,
    not_infinite,
)


def _standard(fitted: Any, kind: Kind) -> Step:
    need_numbers(kind)
    return Step(_shifted(fitted.mean_ if fitted.with_mean else None, fitted.scale_ if fitted.with_std else None))


def _robust(fitted: Any, kind: Kind) -> Step:
    need_numbers(kind)
    return Step(
        _shifted(fitted.center_ if fitted.with_centering else None, fitted.scale_ if fitted.with_scaling else None)
    )


def _max_abs(fitted: Any, kind: Kind) -> Step:
    need_numbers(kind)
    if getattr(fitted, "clip", False):
        raise NotCovered("it clips")
    return Step(_shifted(None, fitted.scale_))


def _shifted(center: Any, scale: Any) -> Run:
    def run(block: Numbers) -> Numbers:
        block = not_infinite(block)
        if center is not None:
            block = block - center
        return block if scale is None else block / scale

    return run


def _min_max(fitted: Any, kind: Kind) -> Step:
    need_numbers(kind)
    low, high = fitted.feature_range

    def run(block: Numbers) -> Numbers:
        scaled: Numbers = not_infinite(block) * fitted.scale_ + fitted.min_
        return np.clip(scaled, low, high) if fitted.clip else scaled

    return Step(run)


def _binarizer(fitted: Any, kind: Kind) -> Step:
    need_numbers(kind)
    return Step(lambda block: (finite(block) > fitted.threshold).astype(np.float64))


def _function(fitted: Any, kind: Kind) -> Step:
    """Identity, or a function of numpy's own; the user's may want a frame."""
    if fitted.func is None and not fitted.validate:
        return Step(lambda block: block, kind)
    need_numbers(kind)
    if not isinstance(fitted.func, np.ufunc) or fitted.kw_args or fitted.validate:
        raise NotCovered("its function is not numpy's")
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
