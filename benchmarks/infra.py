"""Measure the imports of the two Pulumi programs and the building of the shared stack's resource graph.

    python -m benchmarks.infra [--apply]

Each import runs in its own process, as under `pulumi up`, with compiled bytecode. The graph is built in this process,
without the Pulumi CLI. The first build imports what the SDK loads lazily; the others are warm. With --apply, each
example is also applied to a real API server (tests/k8slab) with its charts, applied again without changes, and
destroyed.
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

from tests.infra.chart_stubs.files import write_mirror
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
    """Return only the program's imports, because the rest needs an engine."""
    body = ast.parse(program.read_text(encoding="utf-8")).body
    return "\n".join(ast.unparse(statement) for statement in body if isinstance(statement, ast.Import | ast.ImportFrom))


def import_seconds(program: Path) -> float:
    """Time a process that imports what the program imports."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", import_statements(program)], check=True, cwd=REPOSITORY, env=environment)
    return time.perf_counter() - start


def seconds(action: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def apply_examples() -> None:
    """Time each example on a real API server: building the graph and applying it, as `pulumi up` does."""
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        mirror = Path(folder) / "mirror"
        mirror.mkdir()
        write_mirror(mirror)
        for example in ("local", "team"):  # the third needs an account of AWS
            stack = Stack(lab, Path(folder) / example)

            def up(stack: Stack = stack, example: str = example) -> None:
                stack.up(run_stack(example, chart_mirror=str(mirror)))

            created, again = seconds(up), seconds(up)
            gone = seconds(partial(stack.destroy, lift_protection=True))
            print(
                f"apply of {example:13} {created:.1f} s, without changes {again:.1f} s, destroy {gone:.1f} s, one run"
            )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--apply", action="store_true", help="also apply the examples to a real API server (needs the engines)"
    )
    wants_apply = parser.parse_args().apply
    for name, program in PROGRAMS.items():
        import_seconds(program)  # writes the bytecode
        runs = [import_seconds(program) for _ in range(RUNS)]
        print(
            f"import of {name:12} median {statistics.median(runs):.2f} s, {min(runs):.2f} to {max(runs):.2f} s, "
            f"{RUNS} processes"
        )
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
