"""What an update must keep, and what it must bring."""

from pathlib import Path

import yaml

from platform_lib.project_checks.work_tree import check_work_tree
from platform_lib.settings import find_project
from tests.template.updates.history import ADDRESS, NEXT

SEEDS = ("src/", "tests/", "conf/", "notebooks/", "data/", ".dvc/", "docker/", "deploy/Pulumi.production.yaml")


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a project except those in .git."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def seeds(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: text for name, text in files.items() if name.startswith(SEEDS)}


def owned(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: text for name, text in files.items() if not name.startswith(SEEDS)}


def assert_updated(folder: Path, tag: str = NEXT, extras: str = "training") -> None:
    assert [finding.text for finding in check_work_tree(find_project(folder))] == ["no conflicts."]
    assert yaml.safe_load((folder / ".copier-answers.yml").read_text(encoding="utf-8"))["_commit"] == tag
    pin = f'"platform-lib[{extras}] @ git+{ADDRESS}@{tag}",'
    assert (folder / "pyproject.toml").read_text(encoding="utf-8").count(pin) == 1


def lost_lines(untouched: dict[str, bytes], edited: dict[str, bytes], updated: dict[str, bytes]) -> list[str]:
    """Lines that the user added and that the update removed."""
    return [
        f"{name}: {line.decode()}"
        for name, text in edited.items()
        for line in text.splitlines()
        if line.strip()
        and line not in untouched.get(name, b"").splitlines()
        and line not in updated.get(name, b"").splitlines()
    ]
