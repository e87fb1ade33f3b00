"""Run the `run:` steps of a workflow with `bash -e`, as a GitHub runner does.

Actions are not run and expressions are not evaluated: the test gives the value of each, and an unknown one is an error.
"""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml


def run_job(
    workflow: Path,
    job: str,
    *,
    folder: Path,
    env: Callable[[str], Mapping[str, str]],
    actions: frozenset[str],
    expressions: Mapping[str, Any],
    temporary: Path,
    timeout_s: float = 600,
    already_done: frozenset[str] = frozenset(),
) -> list[str]:
    """Run a job's steps in order.

    Args:
        env: Step name → the environment that it starts with.
        actions: Names of actions that may be used; their effect already exists.
        expressions: The value of each expression, in `if:` or `${{ }}`.
        temporary: Empty folder for the runner's own files.
        timeout_s: For each step.
        already_done: Names of steps whose effect already exists.

    Returns:
        Names of the steps that ran.

    Raises:
        KeyError: An action or expression that the test did not foresee.
        AssertionError: A step failed; the message contains its output.
    """
    steps = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"][job]["steps"]
    files = {name: temporary / name.lower() for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH")}
    for file in files.values():
        file.touch()
    run = []
    for step in steps:
        name = step.get("name", step.get("uses", "?").split("@")[0])
        if name in already_done:
            continue
        if "if" in step and not expressions[step["if"]]:
            continue
        if "uses" in step:
            if step["uses"].split("@")[0] not in actions:
                raise KeyError(step["uses"])
            continue
        stated = {key: _value(value, expressions) for key, value in step.get("env", {}).items()}
        kept = dict(line.split("=", 1) for line in files["GITHUB_ENV"].read_text(encoding="utf-8").splitlines() if line)
        path = os.pathsep.join([*reversed(files["GITHUB_PATH"].read_text(encoding="utf-8").split()), env(name)["PATH"]])
        runner = {"CI": "true", "RUNNER_TEMP": str(temporary), **{key: str(file) for key, file in files.items()}}
        done = subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            cwd=folder,
            env={**env(name), **runner, **kept, **stated, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
        )
        assert done.returncode == 0, f"step {name!r} exited {done.returncode}\n{done.stdout[-6000:]}"
        run.append(name)
    return run


def _value(value: Any, expressions: Mapping[str, Any]) -> str:
    text = str(value)
    if text.startswith("${{"):
        text = str(expressions[text.removeprefix("${{").removesuffix("}}").strip()])
    return text
