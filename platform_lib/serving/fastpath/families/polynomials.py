"""Products of columns."""

from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import Kind, Numbers, Step, TransformerFamily, finite, need_numbers


def _polynomial(fitted: Any, kind: Kind) -> Step:
    need_numbers(kind)
    powers = np.asarray(fitted.powers_)
    width, degree = powers.shape[1], int(powers.sum(axis=1).max(initial=0))
    # Each product as `degree` factors; a column of ones stands in for those that it lacks.
    factors = np.full((max(degree, 1), len(powers)), width)
    for output, exponents in enumerate(powers):
        chosen = np.repeat(np.arange(width), exponents)
        factors[: len(chosen), output] = chosen

    def run(block: Numbers) -> Numbers:
        with_ones = np.hstack((finite(block), np.ones((len(block), 1))))
        product = with_ones[:, factors[0]]
        for places in factors[1:]:
            product = product * with_ones[:, places]
        return product

    return Step(run)


TRANSFORMERS: TransformerFamily = {"sklearn.preprocessing._polynomial.PolynomialFeatures": _polynomial}
