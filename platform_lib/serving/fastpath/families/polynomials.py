"""Polynomial features: products of columns."""

from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import Kind, Numbers, Step, TransformerFamily, require_finite, require_numbers


def _polynomial(fitted: Any, kind: Kind) -> Step:
    require_numbers(kind)
    powers = np.asarray(fitted.powers_)
    width, degree = powers.shape[1], int(powers.sum(axis=1).max(initial=0))
    # Each product has `degree` factors; missing factors are a column of ones.
    factors = np.full((max(degree, 1), len(powers)), width)
    for output, exponents in enumerate(powers):
        chosen = np.repeat(np.arange(width), exponents)
        factors[: len(chosen), output] = chosen

    def transform(block: Numbers) -> Numbers:
        with_ones = np.hstack((require_finite(block), np.ones((len(block), 1))))
        product = with_ones[:, factors[0]]
        for places in factors[1:]:
            product = product * with_ones[:, places]
        return product

    return Step(transform)


TRANSFORMERS: TransformerFamily = {"sklearn.preprocessing._polynomial.PolynomialFeatures": _polynomial}
