"""The one way from rows to an answer, whatever the protocol: checked by the contract, framed, answered by `artifact`. Knows no HTTP."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from platform_lib.data.contract import columns_from_rows
from platform_lib.errors import PlatformError
from platform_lib.model.artifact import LoadedModel, Predictions, category_text
from platform_lib.names import ExitCode


class ModelFailed(PlatformError):
    """The rows are fine, but the model gave no answer to them."""

    exit_code = ExitCode.SERVICE


def predict_rows(
    model: LoadedModel, rows: Sequence[Mapping[str, Any]], predict: Callable[[Any], Predictions] | None = None
) -> Predictions:
    """Answer JSON-like rows.

    Args:
        rows: n ≥ 1 mappings from column to value.
        predict: Another way to the model's answers than its own.
    Raises:
        UsageError: A row does not fit the contract; names row, column and value.
        ModelFailed: The model raised, or answered with something that is no number.
    """
    return predict_table(model, columns_from_rows(rows, model.contract), predict)


def predict_table(model: LoadedModel, table: Any, predict: Callable[[Any], Predictions] | None = None) -> Predictions:
    """Answer columns.

    Args:
        table: A DataFrame, or a mapping from column name to n ≥ 1 values; checked by whoever made it.
        predict: Another way to the model's answers than its own.
    Raises:
        UsageError: A column is missing or a value is not of its type.
        ModelFailed: The model raised, or answered with something that is no number.
    """
    try:
        predictions = (predict or model.predict)(table)
    except PlatformError:
        raise
    except Exception as err:
        raise ModelFailed(f"{model.name} version {model.version} failed on these rows ({type(err).__name__}).") from err
    for numbers in (predictions.values, predictions.probabilities):
        if numbers is not None and numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
            row = int(np.argwhere(~np.isfinite(numbers))[0][0])
            raise ModelFailed(
                f"{model.name} version {model.version} answers row {row} with something that is no number."
            )
    return predictions


def as_json(predictions: Predictions) -> dict[str, Any]:
    """`predictions`, and for classifiers `probabilities`, as plain values."""
    return BatchPredictions.of(predictions).as_json()


class BatchPredictions(msgspec.Struct, frozen=True):
    """A batch's answers as plain values, made once for the responses and the request log, and a part of it: rows `start` to `stop`."""

    all: Predictions
    values: list[Any]
    """One a row of the batch."""
    classes: tuple[str, ...]
    """Of the classes."""
    probabilities: list[list[float]] | None
    """Probabilities in the order of `classes`, one list a row of the batch."""
    start: int
    stop: int

    @classmethod
    def of(cls, predictions: Predictions) -> "BatchPredictions":
        """The answers of a whole batch."""
        probabilities = None if predictions.probabilities is None else predictions.probabilities.tolist()
        values = predictions.values.tolist()
        return cls(predictions, values, tuple(map(category_text, predictions.classes)), probabilities, 0, len(values))

    def part(self, start: int, stop: int) -> "BatchPredictions":
        """The answers of one request of the batch."""
        return BatchPredictions(self.all, self.values, self.classes, self.probabilities, start, stop)

    @property
    def predictions(self) -> Predictions:
        """This part as arrays."""
        chosen = slice(self.start, self.stop)
        probabilities = self.all.probabilities
        return Predictions(
            self.all.values[chosen], probabilities if probabilities is None else probabilities[chosen], self.all.classes
        )

    def as_json(self) -> dict[str, Any]:
        """`predictions`, and for classifiers `probabilities`."""
        answer: dict[str, Any] = {"predictions": self.values[self.start : self.stop]}
        if self.probabilities is not None:
            classes = self.classes
            answer["probabilities"] = [
                dict(zip(classes, row, strict=True)) for row in self.probabilities[self.start : self.stop]
            ]
        return answer
