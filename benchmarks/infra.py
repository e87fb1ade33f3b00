"""Seconds that the two Pulumi programs take to import, and the shared stack's whole resource graph to be made.

    python -m benchmarks.infra [--apply]

An import is a process of its own, as `pulumi up` starts one, with bytecode compiled. The graph is made in this process without Pulumi's tool;
the first one imports what the SDK loads lazily, the others are warm. With --apply each example also goes to a real API server (tests/k8slab),
charts included, then once more without a change, and is destroyed.
"""

import argparse
import ast
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.infra.chart_files import write_mirror
from tests.infra.harness.apply import Stack
from tests.infra.stacks import EXAMPLES, run_stack
from tests.k8slab.lab import Lab

REPOSITORY = Path(__file__).resolve().parents[1]
PROGRAMS = {
    "infra_stack/": REPOSITORY / "infra_stack" / "__main__.py",
    "deploy/": REPOSITORY / "template" / "{% if deploy_target != 'none' %}deploy{% endif %}" / "__main__.py",
}
RUNS = 5


def import_statements(program: Path) -> str:
    """The program's imports and nothing else: what follows needs an engine."""
    body = ast.parse(program.read_text(encoding="utf-8")).body
    return "\n".join(ast.unparse(statement) for statement in body if isinstance(statement, ast.Import | ast.ImportFrom))


def import_seconds(program: Path) -> float:
    """Seconds of a process that imports what the program imports."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", import_statements(program)], check=True, cwd=REPOSITORY, env=environment)
    return time.perf_counter() - start


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def apply_examples() -> None:
    """Print how long each example takes on a real API server: graph and apply together, as `pulumi up` does."""
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        mirror = Path(folder) / "mirror"
        mirror.mkdir()
        write_mirror(mirror)
        for example in EXAMPLES:
            stack = Stack(lab, Path(folder) / example)

            def up(stack: Stack = stack, example: str = example) -> None:
                stack.up(run_stack(example, chart_mirror=str(mirror)))

            created, again = seconds(up), seconds(up)
            gone = seconds(partial(stack.destroy, lift_protection=True))
            print(f"apply of {example:13} {created:.1f} s, without a change {again:.1f} s, destroy {gone:.1f} s, one run")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apply", action="store_true", help="take the examples to a real API server too (needs the engines)")
    wants_apply = parser.parse_args().apply
    for name, program in PROGRAMS.items():
        import_seconds(program)  # writes the bytecode
        runs = [import_seconds(program) for _ in range(RUNS)]
        print(f"import of {name:12} median {statistics.median(runs):.2f} s, {min(runs):.2f} to {max(runs):.2f} s, {RUNS} processes")
    for example in EXAMPLES:
        runs = []
        for _ in range(RUNS + 1):
            start = time.perf_counter()
            graph = run_stack(example)
            runs.append(time.perf_counter() - start)
        warm = runs[1:]
        print(
            f"graph of {example:13} {len(graph.resources)} resources, first {runs[0]:.2f} s, "
            f"warm median {statistics.median(warm):.2f} s, {min(warm):.2f} to {max(warm):.2f} s, {RUNS} runs"
        )
    if wants_apply:
        apply_examples()


if __name__ == "__main__":
    main()
