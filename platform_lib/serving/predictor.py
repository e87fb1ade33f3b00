"""Compute predictions for rows, the same way for every protocol and for files. Knows nothing of HTTP."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from platform_lib.data.contract import columns_from_rows
from platform_lib.errors import PlatformError
from platform_lib.model.artifact import LoadedModel, Predictions, category_text
from platform_lib.names import ExitCode


class ModelFailed(PlatformError):
    """The rows are valid, but the model has no prediction for them."""

    exit_code = ExitCode.SERVICE


def predict_rows(
    model: LoadedModel, rows: Sequence[Mapping[str, Any]], predict: Callable[[Any], Predictions] | None = None
) -> Predictions:
    """Predict JSON-like rows.

    Args:
        model: The version that predicts.
        rows: n ≥ 1 mappings from column name to value.
        predict: Computes the predictions instead of the model's pipeline, such as a fast path.
    Returns:
        Values of shape (n,) and, for classifiers, probabilities of shape (n, classes).
    Raises:
        UsageError: A row does not fit the contract; names row, column and value.
        ModelFailed: The model raised an exception, or predicted NaN or infinity.
    """
    return predict_table(model, columns_from_rows(rows, model.contract), predict)


def predict_table(model: LoadedModel, table: Any, predict: Callable[[Any], Predictions] | None = None) -> Predictions:
    """Predict columns.

    Args:
        model: The version that predicts.
        table: A DataFrame of n ≥ 1 rows, or a mapping from column name to n values; already validated.
        predict: Computes the predictions instead of the model's pipeline, such as a fast path.
    Returns:
        Values of shape (n,) and, for classifiers, probabilities of shape (n, classes).
    Raises:
        UsageError: A column is missing, or a value does not have its type.
        ModelFailed: The model raised an exception, or predicted NaN or infinity.
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
                f"{model.name} version {model.version} predicted something that is not a number in row {row}."
            )
    return predictions


def as_json(predictions: Predictions) -> dict[str, Any]:
    """Return `predictions` and, for classifiers, `probabilities` as plain values."""
    return BatchPredictions.of(predictions).as_json()


class BatchPredictions(msgspec.Struct, frozen=True):
    """Predictions of a batch as plain values, converted once, and the part of them that belongs to one request."""

    all: Predictions
    values: list[Any]
    """One per row of the batch."""
    classes: tuple[str, ...]
    probabilities: list[list[float]] | None
    """One list per row of the batch, in the order of `classes`."""
    start: int
    """First row of this part."""
    stop: int
    """One after the last row of this part."""

    @classmethod
    def of(cls, predictions: Predictions) -> "BatchPredictions":
        """Convert the predictions of a whole batch."""
        probabilities = None if predictions.probabilities is None else predictions.probabilities.tolist()
        values = predictions.values.tolist()
        return cls(predictions, values, tuple(map(category_text, predictions.classes)), probabilities, 0, len(values))

    def part(self, start: int, stop: int) -> "BatchPredictions":
        """Return the predictions of one request of the batch."""
        return BatchPredictions(self.all, self.values, self.classes, self.probabilities, start, stop)

    @property
    def predictions(self) -> Predictions:
        """This part as arrays, values of shape (n,) and probabilities of shape (n, classes)."""
        part = slice(self.start, self.stop)
        probabilities = self.all.probabilities
        return Predictions(
            self.all.values[part], None if probabilities is None else probabilities[part], self.all.classes
        )

    @property
    def part_values(self) -> list[Any]:
        """The predictions of this part, without probabilities."""
        return self.values[self.start : self.stop]

    def as_json(self) -> dict[str, Any]:
        """Return `predictions` and, for classifiers, `probabilities`."""
        answer: dict[str, Any] = {"predictions": self.values[self.start : self.stop]}
        if self.probabilities is not None:
            classes = self.classes
            answer["probabilities"] = [
                dict(zip(classes, row, strict=True)) for row in self.probabilities[self.start : self.stop]
            ]
        return answer
