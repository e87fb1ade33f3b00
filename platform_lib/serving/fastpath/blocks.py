"""Data between the steps of a fast pipeline, and the interface of a family.

Numbers are float64 of shape (n, k), NaN for missing values. Texts are a list of k columns of n values each, None for
missing values. Times are datetime64[us] of shape (n, k), NaT for missing values. A table holds all columns of a request
by name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from operator import attrgetter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from platform_lib.data.contract import DataContract
from platform_lib.data.times import utc

Kind = Literal["table", "numbers", "texts", "times"]
Numbers = NDArray[np.float64]
Texts = list[Sequence[Any]]
Transform = Callable[[Any], Any]
"""From one block to the next."""
PredictBlock = Callable[[Numbers], tuple[NDArray[Any], Numbers | None]]
"""From the last block, shape (n, k), to values of shape (n,) and probabilities of shape (n, classes), or None."""


class NotCovered(Exception):
    """No family covers this step, so scikit-learn has to run it. The message says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """A transformer that a family covers."""

    transform: Transform
    kind: Kind = "numbers"
    """Kind of its output."""


TransformerFamily = Mapping[str, Callable[[Any, Kind], Step]]
"""By `module.Class`: builds the step of a fitted transformer for an input of a kind, or raises NotCovered."""
EstimatorFamily = Mapping[str, Callable[[Any], PredictBlock]]
"""By `module.Class`: builds the predictions of a fitted estimator, or raises NotCovered."""


class Table:
    """The checked columns of n rows, converted to blocks on demand with the types of `data.frame`."""

    def __init__(
        self, columns: Mapping[str, Sequence[Any]], contract: DataContract, positions: Mapping[str, int]
    ) -> None:
        """Keep the columns.

        Args:
            columns: n values per feature.
            contract: Gives each column's type.
            positions: Row of each number column in `_matrix`, from `number_positions`.
        """
        self.columns, self.contract, self._positions = columns, contract, positions

    @cached_property
    def _matrix(self) -> Numbers:
        return np.array([self.columns[name] for name in self._positions], dtype=np.float64)

    def numbers(self, positions: Any) -> Numbers:
        """Return k number columns, shape (n, k).

        Args:
            positions: Their positions, as a list or a slice.
        """
        selected: Numbers = self._matrix[positions].T
        return selected

    def texts(self, names: Sequence[str]) -> Texts:
        """Return k text columns of n values each, without white space around them and blank ones as None, as in
        `data.frame`."""
        return [[None if value is None else value.strip() or None for value in self.columns[name]] for name in names]

    def times(self, names: Sequence[str]) -> NDArray[np.datetime64]:
        """Return k columns of times, shape (n, k)."""
        values = [[None if value is None else utc(value) for value in self.columns[name]] for name in names]
        return np.array(values, dtype="datetime64[us]").T

    @cached_property
    def frame(self) -> Any:
        """All columns as the data frame that pipelines are fitted on, for the steps that no family covers."""
        from platform_lib.data.frame import feature_frame

        return feature_frame(self.columns, self.contract)


def number_positions(contract: DataContract) -> dict[str, int]:
    """Return the position of each column that a pipeline sees as a number."""
    return {name: position for position, name in enumerate(contract.features_of("integer", "number", "boolean"))}


def class_path(value: object) -> str:
    """Return `module.Class` of an object. A subclass, which may do anything, has another path."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def private(fitted: object, path: str) -> Any:
    """Return a private attribute of a scikit-learn object.

    Private attributes may change in any release, so a missing one must leave the step to scikit-learn.

    Args:
        fitted: A fitted estimator or transformer.
        path: Attribute, or attributes joined by dots: `_loss.link`.
    Raises:
        NotCovered: The installed scikit-learn does not have it.
    """
    try:
        return attrgetter(path)(fitted)
    except AttributeError as err:
        raise NotCovered(f"this version of scikit-learn has no {type(fitted).__name__}.{path}") from err


def private_import(module: str, name: str) -> Any:
    """Import a name from a private module of scikit-learn.

    Raises:
        NotCovered: The installed scikit-learn does not have it.
    """
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as err:
        raise NotCovered(f"this version of scikit-learn has no {module}.{name}") from err


def require_numbers(kind: Kind) -> None:
    """Raise NotCovered if the input is not numbers."""
    if kind != "numbers":
        raise NotCovered(f"its input is {kind}")


def require_finite(block: Numbers) -> Numbers:
    """Check numbers as scikit-learn's steps without support for missing values do.

    Raises:
        ValueError: A value is missing or infinite.
    """
    if not np.isfinite(block).all():
        raise ValueError("a value is missing or infinite")
    return block


def require_no_infinity(block: Numbers) -> Numbers:
    """Check numbers as scikit-learn's steps with support for missing values do.

    Raises:
        ValueError: A value is infinite.
    """
    if np.isinf(block).any():
        raise ValueError("a value is infinite")
    return block
