"""Measure the time and peak memory of `mlp data import` on a generated table, as a whole process with DVC."""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT_FILES = {
    "pyproject.toml": '[tool.mlp]\nmodel = "bench"\ntask = "classification"\n',
    "conf/train.yaml": "defaults:\n  - data: ???\n",
}


def make_table(rows: int, columns: int, seed: int) -> pa.Table:
    """Make a table: an id, then cycles of number with gaps, integer, category, time and text, then the target."""
    random = np.random.default_rng(seed)
    table: dict[str, object] = {"row_id": np.arange(rows)}
    for number in range(columns - 2):
        match number % 5:
            case 0:
                values = random.normal(size=rows).round(6)
                table[f"number_{number}"] = pa.array(values, mask=random.random(rows) < 0.02)
            case 1:
                table[f"count_{number}"] = random.integers(0, 10_000, rows)
            case 2:
                table[f"category_{number}"] = np.array([f"kind {i}" for i in range(12)])[random.integers(0, 12, rows)]
            case 3:
                table[f"time_{number}"] = np.datetime64("2020-01-01T00:00:00", "us") + random.integers(
                    0, 10**8, rows
                ) * np.timedelta64(1, "s")
            case _:
                table[f"text_{number}"] = pa.array(random.integers(0, 10**9, rows)).cast(pa.string())
                table[f"text_{number}"] = pa.compute.binary_join_element_wise("text", table[f"text_{number}"], "-")
    table["target"] = np.array(["yes", "no"])[random.integers(0, 2, rows)]
    return pa.table(table)


def measured(command: list[str], folder: Path) -> tuple[float, float, float]:
    """Run a command; return its wall seconds, CPU seconds and peak resident memory in MiB.

    Memory is sampled every 20 ms, over the process and its children.
    """
    start, peak, processor_s = time.perf_counter(), 0, 0.0
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = psutil.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            processor_s = sum(process.cpu_times()[:2])
            peak = max(peak, sum(p.memory_info().rss for p in (process, *process.children(recursive=True))))
        time.sleep(0.02)
    assert process.returncode == 0, f"{' '.join(command)} exited {process.returncode}"
    return time.perf_counter() - start, processor_s, peak / 2**20


def main() -> None:
    """Generate the table, run each command and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "project"
        for name, text in PROJECT_FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        file = Path(temporary) / f"table.{options.format}"
        table = make_table(options.rows, options.columns, options.seed)
        if options.format == "csv":
            pa.csv.write_csv(table, file)
        else:
            pa.parquet.write_table(table, file)
        print(
            f"{options.rows} rows x {options.columns} columns, {options.format} of "
            f"{file.stat().st_size / 2**20:.0f} MiB, seed {options.seed}"
        )
        del table
        import_file = [
            sys.executable,
            "-m",
            "platform_lib.cli",
            "data",
            "import",
            str(file),
            "--target",
            "target",
            "--id",
            "row_id",
        ]
        for name, command in {
            "mlp data import": import_file,
            "mlp data import --replace": [*import_file, "--replace"],
            "mlp data check": [sys.executable, "-m", "platform_lib.cli", "data", "check"],
        }.items():
            seconds, processor_s, peak_mib = measured(command, folder)
            print(f"{name:26} {seconds:5.1f} s wall   {processor_s:5.1f} s processor   peak {peak_mib:5.0f} MiB")


if __name__ == "__main__":
    main()
