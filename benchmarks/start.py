"""Measure `mlp --help` and `copier copy`, each as the median of several whole processes."""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
RUNS = 7


def seconds(command: list[str]) -> float:
    """Time one run of a command."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the medians."""
    tools = Path(sys.executable).parent
    mlp, copier = shutil.which("mlp", path=str(tools)), shutil.which("copier", path=str(tools))
    assert mlp and copier, "run `make setup` first"
    help_s = [seconds([mlp, "--help"]) for _ in range(RUNS)]
    with tempfile.TemporaryDirectory() as folder:
        copy = [copier, "copy", "--quiet", "--defaults", "--vcs-ref", "HEAD", str(REPOSITORY)]
        copy_s = [seconds([*copy, f"{folder}/{number}"]) for number in range(RUNS)]
    for name, values in (("mlp --help", help_s), ("copier copy", copy_s)):
        print(
            f"{name:12} median {statistics.median(values):.2f} s, {min(values):.2f} to {max(values):.2f} s, {RUNS} runs"
        )


if __name__ == "__main__":
    main()
