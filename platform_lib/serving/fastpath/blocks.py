"""What flows between the steps of a fast pipeline, and what a family offers.

Numbers are float64 of shape (n, k) with NaN for missing; texts a list of k columns of n values each, None for missing; times datetime64[us] of
shape (n, k) with NaT for missing. A table has all columns of a request by name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from platform_lib.data.contract import DataContract
from platform_lib.data.times import utc

Kind = Literal["table", "numbers", "texts", "times"]
Numbers = NDArray[np.float64]
Texts = list[Sequence[Any]]
Run = Callable[[Any], Any]
"""From one block to the next."""
Answer = Callable[[Numbers], tuple[NDArray[Any], Numbers | None]]
"""From the last block to values of shape (n,) and probabilities of shape (n, k)."""


class NotCovered(Exception):
    """scikit-learn has to do this step itself; says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """A transformer that a family covers."""

    run: Run
    kind: Kind = "numbers"
    """Of what comes out."""


TransformerFamily = Mapping[str, Callable[[Any, Kind], Step]]
"""By `module.Class`: makes the step of a fitted transformer for what it is given. Raises NotCovered."""
EstimatorFamily = Mapping[str, Callable[[Any], Answer]]
"""By `module.Class`: makes the answers of a fitted estimator. Raises NotCovered."""


class Table:
    """The checked columns of n rows, as they came, turned into blocks on demand. Values become what `data.frame` makes of them."""

    def __init__(self, columns: Mapping[str, Sequence[Any]], contract: DataContract, places: Mapping[str, int]) -> None:
        """Keep them.

        Args:
            columns: n values a feature.
            places: Row of each number column in `_matrix`, from `number_places`.
        """
        self.columns, self.contract, self._places = columns, contract, places

    @cached_property
    def _matrix(self) -> Numbers:
        return np.array([self.columns[name] for name in self._places], dtype=np.float64)

    def numbers(self, rows: Any) -> Numbers:
        """Columns of numbers.

        Args:
            rows: Their places, as an index or a slice.
        """
        chosen: Numbers = self._matrix[rows].T
        return chosen

    def texts(self, names: Sequence[str]) -> Texts:
        """Columns of texts, without white space around them, as in `data.frame`."""
        return [[value if value is None else value.strip() for value in self.columns[name]] for name in names]

    def times(self, names: Sequence[str]) -> NDArray[np.datetime64]:
        """Columns of points in time."""
        values = [[None if value is None else utc(value) for value in self.columns[name]] for name in names]
        return np.array(values, dtype="datetime64[us]").T

    @cached_property
    def frame(self) -> Any:
        """All columns as the frame that pipelines are fitted on, for steps that scikit-learn or the user's own code does."""
        from platform_lib.data.frame import feature_frame

        return feature_frame(self.columns, self.contract)


def number_places(contract: DataContract) -> dict[str, int]:
    """Place of each column that is a number to a pipeline."""
    return {name: place for place, name in enumerate(contract.features_of("integer", "number", "boolean"))}


def class_path(value: object) -> str:
    """`module.Class` of an object; subclasses, which may do anything, have another one."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def need_numbers(kind: Kind) -> None:
    """Raises NotCovered for anything else."""
    if kind != "numbers":
        raise NotCovered(f"it is given {kind}")


def finite(block: Numbers) -> Numbers:
    """What scikit-learn's steps demand that take no gaps.

    Raises:
        ValueError: A value is missing or infinite.
    """
    if not np.isfinite(block).all():
        raise ValueError("a value is missing or infinite")
    return block


def not_infinite(block: Numbers) -> Numbers:
    """What steps demand that take gaps.

    Raises:
        ValueError: A value is infinite.
    """
    if np.isinf(block).any():
        raise ValueError("a value is infinite")
    return block
