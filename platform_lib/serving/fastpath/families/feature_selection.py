"""Selectors of columns."""

from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import (
    Kind,
    Step,
    TransformerFamily,
    require_finite,
    require_no_infinity,
    require_numbers,
)


def _chosen(fitted: Any, kind: Kind) -> Step:
    require_numbers(kind)
    places = np.flatnonzero(fitted.get_support())
    check = require_no_infinity if fitted.__sklearn_tags__().input_tags.allow_nan else require_finite
    return Step(lambda block: check(block)[:, places])


_MODULE = "sklearn.feature_selection"
TRANSFORMERS: TransformerFamily = {
    f"{_MODULE}._variance_threshold.VarianceThreshold": _chosen,
    f"{_MODULE}._univariate_selection.SelectKBest": _chosen,
    f"{_MODULE}._univariate_selection.SelectPercentile": _chosen,
    f"{_MODULE}._from_model.SelectFromModel": _chosen,
}
