"""Reproduce a version from its record alone: commit, data hash and configuration."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from platform_lib.errors import CheckFailed, NotFound
from platform_lib.registry import open_registry
from platform_lib.registry.files import local_path
from platform_lib.settings import Project, Settings
from platform_lib.training.reproduce import compare, reproduce
from platform_lib.training.run import train
from tests.conftest import commit_all, copy_of, git, run_mlp


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    return copy_of(trained, tmp_path / "project")


def _reproduce(project: Project, reference: str = "sample-model/1") -> tuple[bool, list[str]]:
    registry = open_registry(project, Settings())
    notes: list[str] = []
    result = reproduce(project, registry, registry.resolve(reference), note=notes.append)
    return result.matches, notes


class TestCompare:
    def test_metrics_within_the_tolerance_are_the_same(self) -> None:
        assert compare({"a": 1.0}, {"a": 1.0 + 1e-7}, 1e-6)["a"].same

    def test_metrics_beyond_the_tolerance_differ(self) -> None:
        assert not compare({"a": 1.0}, {"a": 1.0 + 1e-5}, 1e-6)["a"].same

    def test_a_metric_that_is_missing_the_second_time_differs(self) -> None:
        assert not compare({"a": 1.0}, {}, 1e-6)["a"].same


class TestRefusals:
    def test_a_version_from_uncommitted_code_names_the_changed_files(self, project: Project) -> None:
        with (project.conf_dir / "train.yaml").open("a", encoding="utf-8") as file:
            file.write("\n")
        train(project, Settings())

        with pytest.raises(CheckFailed, match=r"version 2 was trained with uncommitted changes \(conf/train\.yaml\)"):
            _reproduce(project, "sample-model/2")

    def test_a_missing_commit_is_reported_in_one_sentence(self, project: Project) -> None:
        shutil.rmtree(project.root / ".git")
        git(project.root, "init", "-q")
        commit_all(project.root, "another history")

        with pytest.raises(NotFound, match="does not have the recorded commit"):
            _reproduce(project)

    def test_missing_data_is_reported_in_one_sentence(self, project: Project) -> None:
        registry = open_registry(project, Settings())
        registry.client.set_model_version_tag("sample-model", "1", "mlp.data_hash", "0" * 32)

        with pytest.raises(
            NotFound, match=r"the table data/sample\.csv with MD5 0{32} is not in the commit, in this project"
        ):
            _reproduce(project)


@pytest.mark.slow
class TestReproduction:
    def test_old_metrics_are_reproduced_after_code_configuration_and_data_have_changed(self, project: Project) -> None:
        model = project.root / "src" / "sample_model" / "model.py"
        model.write_text("raise RuntimeError('the new code must not run')\n", encoding="utf-8")
        (project.conf_dir / "model" / "logistic.yaml").unlink()
        table = project.data_dir / "sample.csv"
        table.write_text("\n".join(table.read_text(encoding="utf-8").splitlines()[:50]) + "\n", encoding="utf-8")
        commit_all(project.root, "everything changed")
        status = git(project.root, "status", "--porcelain")

        done = run_mlp(project, "reproduce", "sample-model/1", "--json")

        result = json.loads(done.stdout)
        assert result["matches"]
        assert result["metrics"]["accuracy"]["again"] == result["metrics"]["accuracy"]["recorded"]
        assert git(project.root, "status", "--porcelain") == status
        assert [record.version for record in open_registry(project, Settings()).versions("sample-model")] == ["1"]

    def test_a_metric_that_is_not_reproduced_exits_1(self, project: Project) -> None:
        registry = open_registry(project, Settings())
        record = registry.resolve("sample-model/1")
        folder = local_path(registry.client.get_run(record.run_id).info.artifact_uri)
        assert folder is not None
        (folder / "evaluation.json").write_text(json.dumps({"metrics": {"accuracy": 0.123}}), encoding="utf-8")

        done = run_mlp(project, "reproduce", expect=1)

        assert "sample-model version 1 came out differently" in done.stdout

    def test_overrides_are_part_of_the_record(self, project: Project) -> None:
        train(project, Settings(), ("model=forest", "model.params.n_estimators=7", "seed=4", "gate.delta=1"))

        assert _reproduce(project, "sample-model/2") == (True, [])

    def test_a_different_lock_is_noted_and_does_not_stop_it(self, project: Project) -> None:
        (project.root / "uv.lock").write_text("version = 2\n", encoding="utf-8")

        matches, notes = _reproduce(project)

        assert matches
        assert notes == ["note: the lock file is not the one it was trained with, so installed packages may differ."]

    def test_a_dvc_table_is_restored_from_the_cache_by_its_hash(
        self, tmp_path: Path, generate: Callable[..., Project]
    ) -> None:
        project = generate(tmp_path / "project")
        source = tmp_path / "mine.csv"
        lines = (project.data_dir / "sample.csv").read_text(encoding="utf-8").splitlines()
        source.write_text("\n".join(lines[:300]) + "\n", encoding="utf-8")
        run_mlp(project, "data", "import", str(source), "--target", "species")
        commit_all(project.root, "data: mine")
        first = json.loads(run_mlp(project, "train", "--json").stdout)
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        run_mlp(project, "data", "import", str(source), "--target", "species", "--replace")
        commit_all(project.root, "data: more rows")

        result = json.loads(run_mlp(project, "reproduce", f"sample-model/{first['version']}", "--json").stdout)

        assert result["matches"]
