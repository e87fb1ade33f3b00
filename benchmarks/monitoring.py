"""Time and memory of `mlp monitor report`'s work on a large request log: `python -m benchmarks.monitoring`."""

import argparse
import resource
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from platform_lib.data.contract import Column, DataContract
from platform_lib.model.artifact import Predictions
from platform_lib.model.profile import build_profile, parse_profile
from platform_lib.model.reference_rows import MOST_ROWS, build_reference_rows
from platform_lib.monitoring.config import MonitorConfig
from platform_lib.monitoring.content import Monitored
from platform_lib.monitoring.held_out.reference import reference_of
from platform_lib.monitoring.report import build_report
from platform_lib.monitoring.windows import divide
from platform_lib.serving.request_log.files import LABEL_SCHEMA, LABELS, PREDICTIONS, LogFolder, prediction_schema
from tests.monitoring.logs import END

NUMBERS, TEXTS, DAYS = 15, 5, 7


def frame_of(rows: int, seed: int) -> tuple[pd.DataFrame, Predictions]:
    """Random rows of 15 numbers and 5 texts, and predictions for them."""
    dice = np.random.default_rng(seed)
    columns: dict[str, object] = {f"number_{i}": dice.normal(size=rows) for i in range(NUMBERS)}
    columns |= {f"text_{i}": dice.choice(list("abcdefgh"), rows).astype(object) for i in range(TEXTS)}
    p = 1 / (1 + np.exp(-np.asarray(columns["number_0"])))
    values = np.where(p > 0.5, "yes", "no").astype(object)
    return pd.DataFrame(columns), Predictions(values, np.column_stack([1 - p, p]), ("no", "yes"))


def contract() -> DataContract:
    """The contract of these rows."""
    kinds = {f"number_{i}": "number" for i in range(NUMBERS)} | {f"text_{i}": "string" for i in range(TEXTS)}
    columns = {name: Column(type=kind) for name, kind in kinds.items()}  # type: ignore[arg-type]
    columns["y"] = Column(type="string", allowed=["no", "yes"])
    return DataContract(name="t", path="data/t.parquet", task="classification", target="y", columns=columns)


def write_log(folder: LogFolder, rows: int) -> None:
    """Log `rows` requests over seven days, half of them with a label."""
    per_day = rows // DAYS
    kinds: dict[str, str] = {name: column.type for name, column in contract().columns.items() if name != "y"}
    for day in range(DAYS):
        frame, predictions = frame_of(per_day, day)
        start = END - timedelta(days=DAYS - day)
        assert predictions.probabilities is not None
        moments = np.datetime64(start.replace(tzinfo=None), "us") + np.arange(per_day) * np.timedelta64(50_000, "us")
        flat = predictions.probabilities.ravel()
        offsets = pa.array(np.arange(0, 2 * per_day + 1, 2, dtype=np.int32))
        table = {
            "request_id": pa.array([f"{day}-{i}" for i in range(per_day)]),
            "row": pa.array(np.zeros(per_day, dtype=np.int32)),
            "time": pa.array(moments, pa.timestamp("us", tz="UTC")),
            "model": pa.array(["t"] * per_day),
            "version": pa.array(["1"] * per_day),
            "key_name": pa.array(["app"] * per_day),
            "latency_ms": pa.array(np.random.default_rng(day).exponential(2, per_day)),
            **{name: pa.array(frame[name]) for name in frame},
            "prediction": pa.array(predictions.values),
            "probabilities": pa.MapArray.from_arrays(offsets, pa.array(["no", "yes"] * per_day), pa.array(flat)),
        }
        schema = prediction_schema(kinds, "classification")
        folder.write(PREDICTIONS, pa.table([table[field.name] for field in schema], schema=schema), start, day)
        labels = {
            "request_id": table["request_id"].slice(0, per_day // 2),
            "row": table["row"].slice(0, per_day // 2),
            "time": table["time"].slice(0, per_day // 2),
            "label": table["prediction"].slice(0, per_day // 2),
        }
        folder.write(LABELS, pa.table([labels[f.name] for f in LABEL_SCHEMA], schema=LABEL_SCHEMA), start, day)


def main() -> None:
    """Print seconds, seconds of CPU and the largest memory of a report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--log", type=Path, help="an existing log of this benchmark; without it, one is written")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = LogFolder.at(str(given.log or scratch))
        if not (given.log and given.log.exists()):
            write_log(folder, given.rows)
        if given.log is None or not given.log.exists():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(f"memory after writing the log: {before / 1024:.0f} MiB; run again with --log for the report's own")
        frame, predictions = frame_of(20_000, 99)
        profile = parse_profile(build_profile(frame, predictions, contract()))
        held_out = build_reference_rows(*frame_of(MOST_ROWS, 98), np.full(MOST_ROWS, "yes"), contract())
        version = Monitored(
            model="t",
            version="1",
            profile=profile,
            contract=contract(),
            metric="accuracy",
            held_out=(0.7, 0.01),
            reference=reference_of(held_out, contract()),
        )
        begun, cpu = time.perf_counter(), time.process_time()
        report = build_report(folder, version, MonitorConfig(), divide(timedelta(days=DAYS), timedelta(days=1), END))
        taken, used = time.perf_counter() - begun, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{sum(report.rows):,} rows: {taken:.1f} s, {used:.1f} s of CPU, {peak:.0f} MiB at most")


if __name__ == "__main__":
    main()
