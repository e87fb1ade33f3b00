"""Transformers of numbers into bins."""

from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import (
    Kind,
    NotCovered,
    Numbers,
    Step,
    TransformerFamily,
    require_finite,
    require_numbers,
)


def _k_bins(fitted: Any, kind: Kind) -> Step:
    require_numbers(kind)
    if fitted.dtype not in (None, np.float64):
        raise NotCovered("its output is not float64")
    inner = [edges[1:-1] for edges in fitted.bin_edges_]
    counts = [int(count) for count in fitted.n_bins_]
    is_ordinal = fitted.encode == "ordinal"
    identities = [np.eye(count) for count in counts]

    def transform(block: Numbers) -> Numbers:
        require_finite(block)
        bins = [np.searchsorted(edges, block[:, position], side="right") for position, edges in enumerate(inner)]
        if is_ordinal:
            return np.array(bins, dtype=np.float64).T
        return np.hstack([identity[chosen] for identity, chosen in zip(identities, bins, strict=True)])

    return Step(transform)


TRANSFORMERS: TransformerFamily = {"sklearn.preprocessing._discretization.KBinsDiscretizer": _k_bins}
