"""Reference answers: predictions of the training process, stored with the model to check a loaded model against."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from platform_lib.data.contract import DataContract, columns_from_rows
from platform_lib.data.rows import Row, rows_of
from platform_lib.data.sample_rows import sample_rows
from platform_lib.errors import CheckFailed
from platform_lib.model.artifact import Predictions, predict
from platform_lib.model.probe_rows import RowPrediction, predict_each, probe_rows, suppress_warnings
from platform_lib.model.profile import Profile
from platform_lib.names import ArtifactFile

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

MOST_ROWS = 32
RELATIVE_TOLERANCE = 1e-9
"""Largest relative difference of two numbers that count as equal."""


class ProbeAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """The predictions for the n rows of `probe_rows`, which a reader generates again."""

    example: list[Any]
    """The row that the probe rows are built around, one value per feature."""
    rows_sha256: str
    """Of the rows, so that predictions for other rows are never compared."""
    answers: list[tuple[Any, list[float] | None] | None]
    """Label or number, and probabilities; None where the pipeline rejected the row or gave no finite number."""


class ReferenceAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """n rows and the predictions for them."""

    rows: list[dict[str, Any]]
    """As callers send them."""
    predictions: list[Any]
    """Labels, or numbers for regression."""
    probabilities: list[list[float]] | None = None
    """One list per row, in the order of `classes`."""
    classes: list[Any] = []
    check: ProbeAnswers | None = None
    """None if they were not stored."""


def build_reference_answers(
    pipeline: "Pipeline",
    frame: "pd.DataFrame",
    contract: DataContract,
    profile: Profile | None = None,
    *,
    predictions: Predictions | None = None,
) -> ReferenceAnswers:
    """Predict some of the training rows the way the server will.

    Args:
        pipeline: Fitted.
        frame: Rows to choose from, from `data.frame.feature_frame`, shape (n, features), n ≥ 1.
        contract: Names and types of the features.
        profile: Of the training rows, for typical probe rows.
        predictions: The pipeline's predictions for the frame; None computes them.
    """
    from platform_lib.data.frame import feature_frame

    labels = None
    if contract.task != "regression":
        labels = (predictions or predict(pipeline, frame)).values
    rows = sample_rows(frame, labels, contract, MOST_ROWS)
    if not rows:
        return ReferenceAnswers(rows=[], predictions=[])
    answers = predict(pipeline, feature_frame(columns_from_rows(rows, contract), contract))
    probabilities = None if answers.probabilities is None else answers.probabilities.tolist()
    check = _probe_answers(pipeline, rows_of(rows[:1], contract)[0], contract, profile)
    return ReferenceAnswers(
        rows=rows,
        predictions=answers.values.tolist(),
        probabilities=probabilities,
        classes=list(answers.classes),
        check=check,
    )


def _probe_answers(pipeline: "Pipeline", example: Row, contract: DataContract, profile: Profile | None) -> ProbeAnswers:
    from platform_lib.data.frame import feature_frame

    rows = probe_rows(contract, example, profile)
    with suppress_warnings():
        answers = predict_each(lambda columns: predict(pipeline, feature_frame(columns, contract)), rows, contract)
    kept = [None if answer is None else (answer.value, _as_list(answer.probabilities)) for answer in answers]
    return ProbeAnswers(example=list(example), rows_sha256=_sha256(rows), answers=kept)


def stored_probe_answers(
    samples: ReferenceAnswers, contract: DataContract, profile: Profile | None
) -> tuple[list[Row], list[RowPrediction | None]] | None:
    """Probe rows and sample rows, with the training process's prediction for each.

    None if the predictions were not stored, or if this version of the library generates other probe rows.
    """
    check = samples.check
    if check is None:
        return None
    rows = probe_rows(contract, tuple(check.example), profile)
    if _sha256(rows) != check.rows_sha256 or len(rows) != len(check.answers):
        return None
    answers = [
        None if answer is None else RowPrediction(answer[0], None if answer[1] is None else tuple(answer[1]))
        for answer in check.answers
    ]
    for place, value in enumerate(samples.predictions):
        answers.append(RowPrediction(value, tuple(samples.probabilities[place]) if samples.probabilities else None))
    return rows + rows_of(samples.rows, contract), answers


def _as_list(probabilities: Sequence[float] | None) -> list[float] | None:
    return None if probabilities is None else list(probabilities)


def _sha256(rows: Sequence[Row]) -> str:
    return hashlib.sha256(msgspec.json.encode(rows)).hexdigest()


def write_reference_answers(answers: ReferenceAnswers, folder: Path) -> None:
    """Write the file into an artifact's folder; numbers keep every digit."""
    (folder / ArtifactFile.ANSWERS).write_text(
        json.dumps(msgspec.to_builtins(answers), ensure_ascii=False), encoding="utf-8"
    )


def read_reference_answers(folder: Path) -> ReferenceAnswers | None:
    """Read the reference answers of an artifact's folder; None if it has none.

    Raises:
        CheckFailed: The file cannot be read.
    """
    file = folder / ArtifactFile.ANSWERS
    if not file.is_file():
        return None
    try:
        return msgspec.convert(json.loads(file.read_text(encoding="utf-8")), ReferenceAnswers)
    except ValueError as err:
        raise CheckFailed(f"the artifact's {file.name} cannot be read: {err!s:.200}") from err


def first_difference(expected: ReferenceAnswers, given: Predictions) -> str | None:
    """Compare predictions: labels must be equal, numbers within a relative 1e-9.

    A number below 1e-12 of the largest counts as zero, because there the last bits of a sum decide.

    Returns:
        A description of the first row that differs, without classes, because it is logged; None if all predictions are
        the same.
    """
    if len(given.values) != len(expected.predictions):
        return f"{len(given.values)} answers instead of {len(expected.predictions)}"
    if list(given.classes) != expected.classes:
        return f"it has other classes: {len(given.classes)} instead of {len(expected.classes)}, or not the same ones"
    if not expected.classes:
        return _differing_number(expected.predictions, given.values, "")
    for row, (was, now) in enumerate(zip(expected.predictions, given.values.tolist(), strict=True)):
        if was != now:
            return f"row {row} gets another class"
    if (expected.probabilities is None) != (given.probabilities is None):
        return f"probabilities are {'missing' if given.probabilities is None else 'new'}"
    if expected.probabilities is None or given.probabilities is None:
        return None
    return _differing_number(expected.probabilities, given.probabilities, "a probability of ")


def _differing_number(expected: Sequence[Any], given: Any, what: str) -> str | None:
    was, now = np.asarray(expected, dtype=np.float64), np.asarray(given, dtype=np.float64)
    if was.shape != now.shape:
        return f"answers of shape {now.shape} instead of {was.shape}"
    nearly_zero = 1e-12 * np.max(np.abs(was), initial=0.0, where=np.isfinite(was))
    same = np.isclose(now, was, rtol=RELATIVE_TOLERANCE, atol=nearly_zero, equal_nan=True)
    if same.all():
        return None
    place = tuple(np.argwhere(~same)[0].tolist())
    return f"row {place[0]} is answered {what}{float(now[place])!r} instead of {float(was[place])!r}"
