"""Request logs written as the server's log writer does, for tests of monitoring."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from platform_lib.data.contract import Column, DataContract
from platform_lib.model.artifact import Predictions
from platform_lib.model.profile import build_profile, parse_profile
from platform_lib.model.reference_rows import build_reference_rows
from platform_lib.monitoring.content import Monitored
from platform_lib.monitoring.held_out.reference import reference_of
from platform_lib.serving.request_log.files import LABEL_SCHEMA, LABELS, PREDICTIONS, LogFolder, prediction_schema

END = datetime(2026, 3, 8, tzinfo=UTC)
CONTRACT = DataContract(
    name="loans",
    path="data/loans.parquet",
    task="classification",
    target="paid",
    columns={
        "income": Column(type="number"),
        "plan": Column(type="string"),
        "paid": Column(type="string", allowed=["no", "yes"]),
    },
)
KINDS = {"income": "number", "plan": "string"}


def probability(income: np.ndarray) -> np.ndarray:
    """The true probability of `yes`, which the model of these tests knows."""
    return np.asarray(1 / (1 + np.exp(-2 * income)))


def sample(rows: int, seed: int, *, shift: float = 0.0) -> tuple[pd.DataFrame, Predictions, np.ndarray]:
    """Rows, the model's predictions for them, and their true labels."""
    dice = np.random.default_rng(seed)
    frame = pd.DataFrame({"income": dice.normal(shift, 1, rows), "plan": dice.choice(["a", "b"], rows).astype(object)})
    p = probability(frame["income"].to_numpy())
    predictions = Predictions(np.where(p > 0.5, "yes", "no").astype(object), np.column_stack([1 - p, p]), ("no", "yes"))
    truth = np.where(dice.random(rows) < p, "yes", "no").astype(object)
    return frame, predictions, truth


@cache
def monitored(rows: int = 4000, seed: int = 100) -> Monitored:
    """Version 3, trained on unshifted rows."""
    return version_3(*sample(rows, seed), CONTRACT, "accuracy")


def version_3(
    frame: pd.DataFrame, predictions: Predictions, truth: np.ndarray, contract: DataContract, metric: str
) -> Monitored:
    """Version 3 of a model, with its profile, held-out score and reference rows from the given rows."""
    from platform_lib.metrics import score, standard_error

    return Monitored(
        model="loans",
        version="3",
        profile=parse_profile(build_profile(frame, predictions, contract)),
        contract=contract,
        metric=metric,
        held_out=(score(metric, truth, predictions), standard_error(metric, truth, predictions) or 0.0),
        reference=reference_of(build_reference_rows(frame, predictions, truth, contract), contract),
    )


PRICES = DataContract(
    name="flats",
    path="data/flats.parquet",
    task="regression",
    target="price",
    columns={"income": Column(type="number"), "plan": Column(type="string"), "price": Column(type="number")},
)


def prices(rows: int, seed: int, *, shift: float = 0.0) -> tuple[pd.DataFrame, Predictions, np.ndarray]:
    """Rows, predictions of numbers that are right on average, and true numbers; errors are larger at large incomes."""
    frame, _, _ = sample(rows, seed, shift=shift)
    income = frame["income"].to_numpy()
    truth = 3 * income + np.random.default_rng(seed + 1).normal(size=rows) * np.where(income > 1, 3.0, 1.0)
    return frame, Predictions(3 * income, None), truth


@cache
def priced(rows: int = 2000, seed: int = 100) -> Monitored:
    """Version 3 of a model of numbers, trained on unshifted rows."""
    return version_3(*prices(rows, seed), PRICES, "mae")


def write_day(
    folder: LogFolder,
    day: int,
    frame: pd.DataFrame,
    predictions: Predictions,
    *,
    version: str = "3",
    model: str = "loans",
) -> list[str]:
    """Log n requests of one row each, spread over the day that lies `day` days before the end; return their ids."""
    start = END - timedelta(days=day)
    ids = [f"{version}-{day}-{i}" for i in range(len(frame))]
    rows: dict[str, list[Any]] = {
        "request_id": ids,
        "row": [0] * len(frame),
        "time": [start + i * timedelta(days=1) / len(frame) for i in range(len(frame))],
        "model": [model] * len(frame),
        "version": [version] * len(frame),
        "key_name": ["app"] * len(frame),
        "latency_ms": [1.0 + i % 10 for i in range(len(frame))],
        "income": frame["income"].tolist(),
        "plan": frame["plan"].tolist(),
        "prediction": predictions.values.tolist(),
        "probabilities": [None] * len(frame)
        if predictions.probabilities is None
        else [list(zip(predictions.classes, row, strict=True)) for row in predictions.probabilities.tolist()],
    }
    folder.write(
        PREDICTIONS,
        pa.table(rows, schema=prediction_schema(KINDS, "classification" if predictions.classes else "regression")),
        start,
        sequence=day + 100 * int(version),
    )
    return ids


def write_labels(folder: LogFolder, ids: list[str], labels: list[str], *, after: timedelta, day: int = 0) -> None:
    """Log labels of row 0 of requests, all at the same time."""
    moment = END - timedelta(days=day) + after
    rows = {"request_id": ids, "row": [0] * len(ids), "time": [moment] * len(ids), "label": labels}
    folder.write(LABELS, pa.table(rows, schema=LABEL_SCHEMA), moment, sequence=day)


def log_in(tmp_path: Path) -> LogFolder:
    """An empty log."""
    return LogFolder.at(str(tmp_path / "log"))
