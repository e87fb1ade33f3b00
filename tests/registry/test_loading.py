"""A registered model loads here and in any MLflow client, but only with its registered bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from platform_lib.data.dataset import load_table
from platform_lib.errors import ServiceError, UntrustedModel
from platform_lib.names import ArtifactFile
from platform_lib.registry import load_model, open_registry
from platform_lib.registry.loading import load_record
from platform_lib.settings import Project, Settings
from tests.conftest import copy_of


class TestLoad:
    def test_a_loaded_model_predicts_raw_rows(self, trained: Project) -> None:
        model = load_model("sample-model@champion", trained)

        answers = model.predict(load_table(project=trained).head(3))

        assert (model.version, list(answers.values)) == ("1", ["Adelie"] * 3)

    def test_bytes_that_differ_from_the_registered_ones_are_refused(self, trained: Project, tmp_path: Path) -> None:
        project = copy_of(trained, tmp_path / "project")
        registry = open_registry(project, Settings())
        record = registry.resolve("sample-model@champion")
        with (registry.folder(record) / ArtifactFile.MODEL).open("ab") as file:
            file.write(b"x")

        with pytest.raises(UntrustedModel, match="version 1: the model file's SHA-256 is"):
            load_record(registry, record, project)

    def test_deleted_files_are_reported_in_one_sentence(self, trained: Project, tmp_path: Path) -> None:
        import shutil

        project = copy_of(trained, tmp_path / "project")
        shutil.rmtree(project.state_dir / "artifacts")

        with pytest.raises(ServiceError, match="does not exist"):
            load_model("sample-model@champion", project)

    def test_a_copied_or_moved_project_finds_its_own_files(self, trained: Project, tmp_path: Path) -> None:
        project = copy_of(trained, tmp_path / "über project")
        registry = open_registry(project, Settings())

        folder = registry.folder(registry.resolve("sample-model@champion"))

        assert folder.is_relative_to(project.state_dir / "artifacts")
        assert load_model("sample-model@champion", project).version == "1"

    def test_a_download_is_a_copy_with_the_same_files(self, trained: Project, tmp_path: Path) -> None:
        registry = open_registry(trained, Settings())
        record = registry.resolve("sample-model")

        target = registry.download(record, tmp_path / "copy")

        assert {p.name for p in target.iterdir()} == {p.name for p in registry.folder(record).iterdir()}

    def test_another_process_can_resolve_a_reference(self, trained: Project) -> None:
        uri = f"sqlite:///{trained.database.as_posix()}"
        command = [
            sys.executable,
            "-m",
            "platform_lib.registry",
            "resolve",
            "--tracking-uri",
            uri,
            "sample-model@champion",
        ]

        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

        assert (found["name"], found["version"]) == ("sample-model", "1")
        assert (Path(found["folder"]) / "model.skops").is_file()
        assert found["tags"]["mlp.dirty"] == "false"

    @pytest.mark.slow
    def test_an_ordinary_mlflow_client_loads_the_champion_and_predicts(self, trained: Project) -> None:
        code = (
            "import mlflow, pandas as pd\n"
            "model = mlflow.pyfunc.load_model('models:/sample-model@champion')\n"
            "print(*model.predict(pd.read_csv('data/sample.csv').drop(columns='species')))"
        )
        env = {
            **os.environ,
            "MLFLOW_TRACKING_URI": f"sqlite:///{trained.database.as_posix()}",
            "PYTHONPATH": str(trained.root / "src"),
        }

        done = subprocess.run([sys.executable, "-c", code], cwd=trained.root, env=env, capture_output=True, text=True)

        ours = load_model("sample-model@champion", trained).predict(load_table(project=trained))
        assert done.stdout.split() == list(ours.values), done.stderr
