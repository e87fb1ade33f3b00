"""Small projects without a template, and files to import into them."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from platform_lib.data.imports.plan import ImportPlan, ImportRequest, plan_import
from platform_lib.data.imports.staging import check_destination, write_import
from platform_lib.settings import Project

TRAIN = """\
# Mine: keep me.
defaults:
  - data: ???   # the table
  - model: logistic   # and me
  - _self_

seed: 0
"""


def bare_project(root: Path, task: str = "classification") -> Project:
    """A project with only what imports need; DVC is not initialised."""
    (root / "conf").mkdir(parents=True)
    (root / "conf" / "train.yaml").write_text(TRAIN, encoding="utf-8", newline="\n")
    (root / "pyproject.toml").write_text(f'[tool.mlp]\nmodel = "bare"\ntask = "{task}"\n', encoding="utf-8")
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, check=True)
    return Project(root=root, name="bare", package="bare", task=task)


@pytest.fixture
def bare(tmp_path: Path, request: pytest.FixtureRequest) -> Project:
    """A bare project; `@pytest.mark.answers(task="regression")` changes its task."""
    marker = request.node.get_closest_marker("answers")
    return bare_project(tmp_path / "project", **(marker.kwargs if marker else {}))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write("a,y\\n1,2\\n")`: a file outside the project."""

    def make(content: str | bytes, name: str = "table.csv") -> Path:
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return file

    return make


@pytest.fixture
def plan(bare: Project, write: Callable[..., Path]) -> Callable[..., ImportPlan]:
    """`plan("a,y
    ...", target="y")`: plan the import of that text.
    """

    def make(content: str | bytes, target: str = "y", file_name: str = "table.csv", **request: str) -> ImportPlan:
        return plan_import(bare, ImportRequest(file=write(content, file_name), target=target, **request))  # type: ignore[arg-type]

    return make


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file of a folder and its bytes, except git's own."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b"folder"
        for path in sorted(folder.rglob("*"))
        if ".git" not in path.relative_to(folder).parts
    }


def import_file(project: Project, file: Path, **request: str | None) -> ImportPlan:
    """Plan an import and write it to disk, as the command does."""
    done = plan_import(project, ImportRequest(file=file, **request))  # type: ignore[arg-type]
    check_destination(project, done.contract.name)
    write_import(project, done.contract, done.table)
    return done
