"""Lineage: each version records its code, data, configuration and lock.

Training refuses to run where one of them cannot be determined.
"""

import hashlib
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from platform_lib import lineage
from platform_lib.data.dataset import find_contract
from platform_lib.errors import CheckFailed, NotFound
from platform_lib.lineage import Lineage
from platform_lib.settings import Project
from tests.conftest import commit_all, git

ORIGIN = Lineage(
    git_commit="c" * 40,
    dirty=False,
    data_hash="d" * 32,
    config_hash="e" * 64,
    lock_hash="f" * 64,
    library="platform-lib 1",
    python="3.11.7",
)


def _collect(project: Project) -> Lineage:
    return lineage.collect(project, find_contract(project), "seed: 0\n")


def test_a_clean_project_is_recorded_with_all_its_hashes(project: Project) -> None:
    origin = _collect(project)

    assert origin == Lineage(
        git_commit=git(project.root, "rev-parse", "HEAD").strip(),
        dirty=False,
        data_hash=hashlib.md5((project.data_dir / "sample.csv").read_bytes()).hexdigest(),
        config_hash=hashlib.sha256(b"seed: 0\n").hexdigest(),
        lock_hash=hashlib.sha256(b"version = 1\n").hexdigest(),
        library=lineage.installed_library(),
        python=platform.python_version(),
    )


def test_tags_bring_the_lineage_back() -> None:
    assert lineage.from_tags(ORIGIN.tags()) == ORIGIN


def test_a_version_without_tags_reads_as_unknown() -> None:
    assert set(lineage.rows(lineage.from_tags({})).values()) == {"unknown", "no", "none, trained in-process", "no rows"}


def test_a_comparison_names_only_differences() -> None:
    import dataclasses

    other = dataclasses.replace(ORIGIN, data_hash="0" * 32, flow_run="abc")

    assert lineage.compare(ORIGIN, other) == {"data (MD5)": ("d" * 32, "0" * 32)}


class TestRefusals:
    def test_a_project_without_a_git_repository_is_refused(self, project: Project) -> None:
        shutil.rmtree(project.root / ".git")

        with pytest.raises(CheckFailed, match=r"has no git commit.*Run `make setup`"):
            _collect(project)

    def test_a_repository_without_a_commit_is_refused(self, project: Project) -> None:
        shutil.rmtree(project.root / ".git")
        git(project.root, "init", "-q")

        with pytest.raises(CheckFailed, match="has no git commit"):
            _collect(project)

    def test_a_project_without_a_lock_is_refused(self, project: Project) -> None:
        (project.root / "uv.lock").unlink()

        with pytest.raises(CheckFailed, match=r"has no lock file \(uv.lock or pdm.lock\)"):
            _collect(project)

    def test_a_project_without_data_is_refused(self, project: Project) -> None:
        (project.data_dir / "sample.csv").unlink()

        with pytest.raises(NotFound):
            _collect(project)


class TestDirty:
    @pytest.mark.parametrize(
        "path",
        ["src/sample_model/model.py", "conf/train.yaml", "data/sample.csv", "uv.lock", "pyproject.toml"],
    )
    def test_a_changed_file_makes_the_tree_dirty(self, project: Project, path: str) -> None:
        with (project.root / path).open("a", encoding="utf-8") as file:
            file.write("\n")

        assert lineage.changed_files(project.root) == [path]

    @pytest.mark.parametrize("path", ["src/sample_model/new.py", "conf/model/new.yaml", "data/new name.csv"])
    def test_an_untracked_file_that_training_reads_makes_the_tree_dirty(self, project: Project, path: str) -> None:
        (project.root / path).write_text("x", encoding="utf-8")

        assert lineage.changed_files(project.root) == [path]

    @pytest.mark.parametrize(
        "path",
        [
            ".mlp/mlflow.db",
            "predictions.csv",
            "src/sample_model/__pycache__/model.cpython-311.pyc",
            ".dvc/tmp/lock",
            ".venv/pyvenv.cfg",
        ],
    )
    def test_untracked_files_elsewhere_leave_the_tree_clean(self, project: Project, path: str) -> None:
        (project.root / ".gitignore").unlink(missing_ok=True)
        commit_all(project.root)
        (project.root / path).parent.mkdir(parents=True, exist_ok=True)
        (project.root / path).write_text("x", encoding="utf-8")

        assert lineage.changed_files(project.root) == []

    def test_a_deleted_file_makes_the_tree_dirty(self, project: Project) -> None:
        (project.conf_dir / "split" / "time.yaml").unlink()

        assert lineage.changed_files(project.root) == ["conf/split/time.yaml"]

    def test_in_a_larger_repository_only_the_projects_folder_counts(
        self, tmp_path: Path, generate: Callable[..., Project]
    ) -> None:
        project = generate(tmp_path / "repository" / "models" / "one")
        shutil.rmtree(project.root / ".git")
        git(tmp_path / "repository", "init", "-q")
        commit_all(tmp_path / "repository")
        (tmp_path / "repository" / "elsewhere.py").write_text("x", encoding="utf-8")
        (project.root / "src" / "new.py").write_text("x", encoding="utf-8")

        assert lineage.changed_files(project.root) == ["src/new.py"]
