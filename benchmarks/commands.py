"""Measure the CPU seconds of everyday commands on the sample project, each as the median of several processes.

CPU time (user and system, children included) says what a command costs even while other programs use the machine.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

COMMANDS = (
    ("--help",),
    ("models",),
    ("models", "show"),
    ("promote", "1", "--force", "--reason", "measured"),
    ("rollback",),
    ("lineage",),
    ("predict", "rows.csv", "--out", "predictions.csv"),
    ("train", "--no-promote"),
)
ROWS = 50


def cpu_seconds(project: Path, words: tuple[str, ...], env: dict[str, str]) -> float:
    """Run `mlp` once in the project; returns its user and system seconds, with those of its children."""
    command = [sys.executable, "-m", "platform_lib.cli", *words]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=project, env=env, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = code = os.waitstatus_to_exitcode(status)
        if code not in (0, 1):
            output.seek(0)
            sys.exit(f"mlp {' '.join(words)} exited with {code}:\n{output.read().decode()}")
    return usage.ru_utime + usage.ru_stime


def sample_project(folder: Path, env: dict[str, str]) -> None:
    """Generate the sample project in `folder`, train two versions, and write a file of rows to predict."""
    import copier

    copier.run_copy(str(REPOSITORY), folder, data={"project_name": "sample-model"}, defaults=True, quiet=True)
    (folder / "uv.lock").write_text("version = 1\n", encoding="utf-8")
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "generated"]):
        subprocess.run(["git", *words], cwd=folder, env=env, check=True)
    with (folder / "data" / "sample.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.reader(table))[: ROWS + 1]
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as table:
        csv.writer(table).writerows(rows)
    for seed in (1, 2):
        cpu_seconds(folder, ("train", f"seed={seed}"), env)


def main() -> None:
    """Print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="processes per command (default: %(default)s)")
    parser.add_argument("--only", help="measure commands that contain this text")
    parser.add_argument("--project", type=Path, help="keep the project in this folder, or use the one that is there")
    options = parser.parse_args()
    identity = {f"GIT_{who}_{what}": "benchmark" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MLP_", "MLFLOW_", "PREFECT_"))}
    with tempfile.TemporaryDirectory() as scratch:
        project = options.project or Path(scratch) / "project"
        if not project.exists():
            sample_project(project, env | identity)
        print("CPU seconds, median of", options.runs, "runs")
        for words in COMMANDS:
            name = f"mlp {' '.join(words)}"
            if options.only and options.only not in name:
                continue
            values = [cpu_seconds(project, words, env | identity) for _ in range(options.runs)]
            print(f"{statistics.median(values):6.2f}  {min(values):.2f}-{max(values):.2f}  {name}", flush=True)


if __name__ == "__main__":
    main()
