"""Reproduce a registered version from its record alone, and compare the metrics."""

import dataclasses
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platform_lib import git, lineage
from platform_lib.data.contract import DataContract, read_contract
from platform_lib.errors import CheckFailed, NotFound, PlatformError, UsageError
from platform_lib.lineage import Lineage
from platform_lib.names import ArtifactFile
from platform_lib.registry.reference import VersionRecord
from platform_lib.registry.versions import Registry
from platform_lib.settings import Project, find_project
from platform_lib.training.plan import Progress, silent
from platform_lib.training.tracking import read_evaluation

TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One metric, as recorded and as reproduced."""

    recorded: float
    again: float | None
    same: bool
    """Equal within the tolerance."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reproduction:
    """The result of reproducing a version."""

    record: VersionRecord
    origin: Lineage
    tolerance: float
    metrics: dict[str, Compared]

    @property
    def matches(self) -> bool:
        """Whether every recorded metric was reproduced."""
        return all(item.same for item in self.metrics.values())


def reproduce(
    project: Project,
    registry: Registry,
    record: VersionRecord,
    *,
    tolerance: float = TOLERANCE,
    progress: Progress = silent,
    note: Callable[[str], Any] = lambda text: None,
) -> Reproduction:
    """Train a version again from its commit, data hash and resolved configuration, with the installed library.

    Args:
        project: Of the version.
        registry: Of the version.
        record: The version.
        tolerance: Largest relative difference of a metric.
        progress: Shows the current step.
        note: Called with each difference from the record that may explain different metrics.
    Raises:
        CheckFailed: The version was trained with uncommitted changes, or without a record.
        NotFound: Its commit or its data cannot be found.
        PlatformError: The training itself failed.
    """
    origin = lineage.from_tags(record.tags, registry.run_tags(record))
    _require_record(record, origin)
    recorded = _recorded_metrics(registry, record)
    for difference in _environment_differences(project, origin):
        note(f"note: {difference}")
    with tempfile.TemporaryDirectory(prefix="mlp-reproduce-", ignore_cleanup_errors=True) as scratch:
        with progress(f"Checking out commit {origin.git_commit[:8]}"):
            clone = _clone(project, origin.git_commit, Path(scratch))
        files = registry.folder(record)
        contract = read_contract(files / ArtifactFile.CONTRACT)
        with progress(f"Fetching {contract.path}, MD5 {origin.data_hash[:8]}"):
            _fetch_data(project, clone, contract, origin.data_hash)
        with progress("Training again"):
            metrics = _retrain(clone, files / ArtifactFile.CONFIG, Path(scratch))
    return Reproduction(
        record=record, origin=origin, tolerance=tolerance, metrics=compare(recorded, metrics, tolerance)
    )


def compare(recorded: dict[str, float], again: dict[str, float], tolerance: float) -> dict[str, Compared]:
    """Compare the metrics of two trainings; a metric that the second one does not have differs."""
    found = {}
    for name, value in recorded.items():
        second = again.get(name)
        same = second is not None and (
            math.isclose(value, second, rel_tol=tolerance, abs_tol=1e-12) or (math.isnan(value) and math.isnan(second))
        )
        found[name] = Compared(recorded=value, again=second, same=same)
    return found


def _require_record(record: VersionRecord, origin: Lineage) -> None:
    about = f"{record.name} version {record.version}"
    if not (origin.git_commit and origin.data_hash):
        raise CheckFailed(
            f"{about} has no recorded commit and data, so it cannot be reproduced: `mlp train` did not register it."
        )
    if origin.dirty:
        changed = f" ({', '.join(origin.dirty_files[:5])})" if origin.dirty_files else ""
        raise CheckFailed(
            f"{about} was trained with uncommitted changes{changed}, which are not recorded: commit them, and train it "
            "again."
        )


def _recorded_metrics(registry: Registry, record: VersionRecord) -> dict[str, float]:
    evaluation = read_evaluation(registry, record.run_id) or {"metrics": record.metrics}
    metrics = {str(name): float(value) for name, value in evaluation["metrics"].items()}
    if not metrics:
        raise CheckFailed(
            f"{record.name} version {record.version} has no recorded metrics to compare with: its run was deleted."
        )
    return metrics


def _environment_differences(project: Project, origin: Lineage) -> list[str]:
    import hashlib
    import platform

    found = []
    lock = project.lock_file
    if lock is None or hashlib.sha256(lock.read_bytes()).hexdigest() != origin.lock_hash:
        found.append("the lock file is not the one it was trained with, so installed packages may differ.")
    if lineage.installed_library() != origin.library:
        found.append(f"it was trained with {origin.library}, and {lineage.installed_library()} is installed.")
    if origin.python and platform.python_version() != origin.python:
        found.append(f"it was trained with Python {origin.python}, and this is {platform.python_version()}.")
    return found


def _clone(project: Project, commit: str, scratch: Path) -> Project:
    """Check out the project at a commit, in a clone that shares the repository's objects."""
    if not git.succeeds(project.root, "cat-file", "-e", f"{commit}^{{commit}}"):
        raise NotFound(
            f"{project.root} does not have the recorded commit {commit[:12]}: `git fetch` it from where the version "
            "was trained."
        )
    top = Path(git.require(project.root, "rev-parse", "--show-toplevel").strip())
    folder = scratch / "repository"
    git.require(scratch, "clone", "--quiet", "--shared", "--no-checkout", str(top), str(folder))
    git.require(folder, "checkout", "--quiet", "--detach", commit)
    inside = folder / project.root.resolve().relative_to(top.resolve())
    if not (inside / "pyproject.toml").is_file():
        raise NotFound(
            f"commit {commit[:12]} has no project in {inside.relative_to(folder).as_posix()}: it was moved later. "
            "Check out that commit yourself."
        )
    return find_project(inside)


def _fetch_data(project: Project, clone: Project, contract: DataContract, wanted: str) -> None:
    """Get the table with the recorded hash: from the commit, the project, DVC's cache or its remote."""
    from platform_lib.data.dvc import file_md5, pull

    target = clone.root / contract.path
    here = project.root / contract.path
    if target.is_file() and file_md5(target) == wanted:
        return
    why = ""
    if here.is_file() and file_md5(here) == wanted:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(here, target)
        return
    try:
        _share_dvc(project, clone)
        pull(clone, force=True)
    except PlatformError as err:
        why = f" {err}"
    if not target.is_file() or file_md5(target) != wanted:
        raise NotFound(
            f"the table {contract.path} with MD5 {wanted} is not in the commit, in this project, in DVC's cache or on "
            f"its remote.{why}"
        )


def _share_dvc(project: Project, clone: Project) -> None:
    """Configure the clone to use the project's DVC cache and remotes, with absolute paths."""
    import configparser

    from dvc.config import Config

    if not (project.root / ".dvc").is_dir() or not (clone.root / ".dvc").is_dir():
        raise UsageError("The project does not use DVC.")
    known = Config(dvc_dir=str(project.root / ".dvc"), validate=False)
    local = configparser.ConfigParser(interpolation=None)
    local["cache"] = {"dir": str(known.get("cache", {}).get("dir") or project.root / ".dvc" / "cache")}
    for name, values in known.get("remote", {}).items():
        local[f"'remote \"{name}\"'"] = {key: str(value) for key, value in values.items()}
    if remote := known.get("core", {}).get("remote"):
        local["core"] = {"remote": remote}
    with (clone.root / ".dvc" / "config.local").open("w", encoding="utf-8") as file:
        local.write(file)


def _retrain(clone: Project, config: Path, scratch: Path) -> dict[str, float]:
    """Train in a process that has only the clone's code; returns the metrics."""
    answer = scratch / "metrics.json"
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    # The user's steps may log to MLflow: they write to a store that is deleted.
    env |= {
        "MLFLOW_TRACKING_URI": f"sqlite:///{(scratch / 'unused.db').as_posix()}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [
        sys.executable,
        "-m",
        "platform_lib.training.reproduce_child",
        "--project",
        str(clone.root),
        "--config",
        str(config),
        "--out",
        str(answer),
    ]
    done = subprocess.run(
        command,
        cwd=clone.root,
        env=env,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise CheckFailed(
            "training the version again failed: "
            f"{said[-1].removeprefix('error: ') if said else f'exit code {done.returncode}'}"
        )
    values: dict[str, float] = json.loads(answer.read_text(encoding="utf-8"))
    return values


def as_dict(result: Reproduction) -> dict[str, Any]:
    """The result as JSON-able values."""
    return {
        "name": result.record.name,
        "version": result.record.version,
        "matches": result.matches,
        "tolerance": result.tolerance,
        "metrics": {name: dataclasses.asdict(item) for name, item in result.metrics.items()},
        "lineage": dataclasses.asdict(result.origin),
    }
