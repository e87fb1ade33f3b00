"""What diagnostics add to a training of 10,000 rows × 20 features: `python -m benchmarks.diagnostics`.

Each estimator of a generated project is fitted in a process of its own; 2,000 rows are held out. Measured are seconds
of the clock and of the CPU, and by how much the peak memory of the process rises, from the predictions on: tables and
pictures, with the imports that only they need, without MLflow.
"""

import argparse
import json
import resource
import subprocess
import sys
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.gate import models
from platform_lib.data.contract import Column, DataContract
from platform_lib.data.frame import feature_frame
from platform_lib.model.artifact import predict
from platform_lib.training.diagnostics.build import diagnose
from platform_lib.training.diagnostics.held_out import HeldOut
from platform_lib.training.diagnostics.pictures.draw import draw_pictures
from platform_lib.training.features import standard_features

ROWS, HELD_OUT, NUMBERS, TEXTS = 10_000, 2_000, 15, 5
CASES = [(metric, name) for metric in ("balanced_accuracy", "r2") for name in models(metric)]


def table(metric: str) -> tuple[pd.DataFrame, Any, DataContract]:
    """15 numbers and 5 texts of 8 categories each, of which five columns matter, and the target."""
    generator = np.random.default_rng(0)
    values: dict[str, Any] = {f"number {i}": generator.normal(size=ROWS) for i in range(NUMBERS)}
    codes = generator.integers(0, 8, size=(TEXTS, ROWS))
    values |= {f"text {i}": np.array(list("abcdefgh"), dtype=object)[codes[i]] for i in range(TEXTS)}
    signal = values["number 0"] + 0.6 * values["number 1"] * values["number 2"] + 0.3 * (codes[0] - 3.5)
    columns = {name: Column(type="string" if name.startswith("text") else "number") for name in values}
    if metric == "r2":
        target, truth = Column(type="number"), signal + generator.normal(size=ROWS)
    else:
        target = Column(type="string", allowed=["no", "yes"])
        truth = np.where(generator.logistic(size=ROWS) < signal, "yes", "no").astype(object)
    task: Any = "regression" if metric == "r2" else "classification"
    contract = DataContract(name="t", path="t.csv", task=task, target="y", columns={**columns, "y": target})
    return feature_frame(values, contract), truth, contract


def measure(metric: str, name: str) -> dict[str, Any]:
    """Seconds and memory of one estimator's diagnostics."""
    from sklearn.pipeline import make_pipeline

    frame, truth, contract = table(metric)
    pipeline = make_pipeline(standard_features(contract), models(metric)[name])
    pipeline.fit(frame[:-HELD_OUT], truth[:-HELD_OUT])
    rows = HeldOut(
        frame=frame[-HELD_OUT:],
        truth=truth[-HELD_OUT:],
        predictions=predict(pipeline, frame[-HELD_OUT:]),
        contract=contract,
        table_rows=np.arange(HELD_OUT),
    )
    peak, clock, cpu = _peak_mb(), perf_counter(), process_time()
    found = diagnose(pipeline, rows, metric=metric)
    of_tables = process_time() - cpu
    drawn, failed = draw_pictures(found)
    assert not failed, failed
    assert found.importances is not None
    return {
        "clock": perf_counter() - clock,
        "cpu": process_time() - cpu,
        "tables": of_tables,
        "mb": _peak_mb() - peak,
        "rows": found.importances.rows,
        "repeats": found.importances.repeats,
        "pictures": len(drawn),
        "kb": sum(len(content) for _, content in drawn) / 1000,
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print a row per estimator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs=2, metavar=("METRIC", "ESTIMATOR"), help="measure only this one, as JSON")
    given = parser.parse_args()
    if given.case:
        print(json.dumps(measure(*given.case)))
        return
    print("| estimator | task | seconds | CPU seconds | of which tables | more memory | importance | pictures |")
    print("|---|---|---|---|---|---|---|---|")
    for metric, name in CASES:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.diagnostics", "--case", metric, name],
            capture_output=True,
            text=True,
            check=True,
        )
        got = json.loads(done.stdout.splitlines()[-1])
        task = "numbers" if metric == "r2" else "two classes"
        print(
            f"| {name} | {task} | {got['clock']:.1f} | {got['cpu']:.1f} | {got['tables']:.1f} | {got['mb']:.0f} MB | "
            f"{got['rows']} rows × {got['repeats']} | {got['pictures']}, {got['kb']:.0f} kB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
