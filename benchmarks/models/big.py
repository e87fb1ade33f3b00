"""CPU time of `mlp train` on 1 million rows × 20 columns, beside the bare estimator: `python -m benchmarks.models.big`.

Makes a project from `template/` and a table with 14 numbers (3 with gaps), 4 texts, a time and a target; imports it,
trains, and fits the estimator alone on the same training rows, on numbers and ordinal codes.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[2]


def make_table(rows: int) -> pd.DataFrame:
    """Rows with a target that numbers and texts explain in part."""
    generator = np.random.default_rng(0)
    table: dict[str, object] = {}
    signal = np.zeros(rows)
    for number in range(11):
        values = generator.normal(size=rows).round(6)
        signal += values * generator.normal() * 0.5
        table[f"number_{number}"] = values
    for number in range(3):
        values = generator.normal(size=rows).round(6)
        table[f"gaps_{number}"] = np.where(generator.random(rows) < 0.05, np.nan, values)
    names = np.array([f"kind {number}" for number in range(12)])
    for number in range(4):
        codes = generator.integers(0, 12, rows)
        signal += generator.normal(size=12)[codes] * 0.5
        table[f"category_{number}"] = names[codes]
    table["time"] = np.datetime64("2020-01-01", "s") + generator.integers(0, 10**8, rows) * np.timedelta64(1, "s")
    table["target"] = np.where(signal + generator.normal(size=rows) * 2 > 0, "yes", "no")
    return pd.DataFrame(table)


def processor_seconds(command: list[str], folder: Path) -> float:
    """Run a command; return the CPU seconds of it and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def bare_seconds(table: pd.DataFrame, model: str) -> float:
    """CPU seconds of the estimator's own fit, on four rows of five."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    numbers = table.drop(columns="target")
    for name in numbers.columns:
        if not pd.api.types.is_numeric_dtype(numbers[name].dtype):
            numbers[name] = pd.factorize(numbers[name])[0].astype(float)
    rows = np.arange(len(table)) % 5 > 0
    estimator = LogisticRegression() if model == "logistic" else HistGradientBoostingClassifier(random_state=0)
    values = numbers[rows].fillna(0.0) if model == "logistic" else numbers[rows]
    if model == "logistic":
        values = (values - values.mean()) / values.std()
    before = resource.getrusage(resource.RUSAGE_SELF)
    estimator.fit(values.to_numpy(), table["target"][rows])
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a row per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--models", nargs="+", default=["logistic", "boosting"])
    given = parser.parse_args()
    table = make_table(given.rows)
    mlp = str(Path(sys.executable).with_name("mlp"))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "big"
        copier = str(Path(sys.executable).with_name("copier"))
        answers = ["-d", "project_name=big", "--vcs-ref", "HEAD"]
        subprocess.run([copier, "copy", "-q", "--defaults", *answers, str(REPOSITORY), str(folder)], check=True)
        table.to_parquet(Path(scratch) / "big.parquet", index=False)
        (folder / "uv.lock").write_text("version = 1\n", encoding="utf-8")
        git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.com"]
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        subprocess.run([*git, "add", "-A"], cwd=folder, check=True)
        subprocess.run([*git, "commit", "-q", "-m", "start"], cwd=folder, check=True)
        imported = processor_seconds([mlp, "data", "import", "../big.parquet", "--target", "target"], folder)
        subprocess.run([*git, "add", "-A"], cwd=folder, check=True)
        subprocess.run([*git, "commit", "-q", "-m", "table"], cwd=folder, check=True)
        print(f"mlp data import: {imported:.1f} CPU s")
        print("| model | mlp train, CPU s | estimator alone, CPU s |")
        print("|---|---|---|")
        for model in given.models:
            trained = processor_seconds([mlp, "train", f"model={model}"], folder)
            print(f"| {model} | {trained:.1f} | {bare_seconds(table, model):.1f} |", flush=True)


if __name__ == "__main__":
    main()
