"""Columns chosen once."""

from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import Kind, Step, TransformerFamily, finite, need_numbers, not_infinite


def _chosen(fitted: Any, kind: Kind) -> Step:
    need_numbers(kind)
    places = np.flatnonzero(fitted.get_support())
    check = not_infinite if fitted.__sklearn_tags__().input_tags.allow_nan else finite
    return Step(lambda block: check(block)[:, places])


_MODULE = "sklearn.feature_selection"
TRANSFORMERS: TransformerFamily = {
    f"{_MODULE}._variance_threshold.VarianceThreshold": _chosen,
    f"{_MODULE}._univariate_selection.SelectKBest": _chosen,
    f"{_MODULE}._univariate_selection.SelectPercentile": _chosen,
    f"{_MODULE}._from_model.SelectFromModel": _chosen,
}
