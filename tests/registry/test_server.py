"""The same registry through a real MLflow server, shared or the project's own."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from platform_lib.data.contract import dump_contract, read_contract
from platform_lib.data.dataset import load_table
from platform_lib.model.signing.verification import verify_signature
from platform_lib.names import VersionTag
from platform_lib.registry import Registry, load_model, open_registry
from platform_lib.registry.loading import load_record
from platform_lib.registry.model_files import ModelContent
from platform_lib.registry.store import ensure_database
from platform_lib.settings import Project, Settings
from tests.browser import visit
from tests.conftest import copy_of, free_port, run_mlp, server
from tests.registry.signing_policy import own_signature_policy


@pytest.mark.slow
@pytest.mark.xdist_group("servers")
class TestServer:
    @pytest.fixture
    def shared(self, mlflow_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield mlflow_server

    def test_on_a_shared_server_a_passing_model_is_a_candidate_that_loads_anywhere(
        self, trained: Project, tmp_path: Path, shared: str
    ) -> None:
        project = copy_of(trained, tmp_path / "project")

        result = json.loads(run_mlp(project, "train", "--json", env={"MLFLOW_TRACKING_URI": shared}).stdout)

        registry = Registry(shared)
        record = registry.resolve("sample-model@candidate")
        assert (result["passed"], result["promoted"], record.aliases) == (True, False, ("candidate",))
        model = load_record(registry, record, project)
        assert list(model.predict(load_table(project=project).head(2)).values) == ["Adelie"] * 2
        assert registry.folder(record).is_relative_to(tmp_path / "cache")
        seen = visit(f"{shared}/#/models/sample-model/versions/{record.version}", tmp_path)
        [report] = re.findall(r'href="(#/experiments/[^"?]+/artifacts/report\.html)', seen.shown)
        assert record.run_id in report
        assert verify_signature(registry.folder(record), "sample-model", own_signature_policy())

    def test_versions_with_equal_model_files_keep_their_own_contracts(
        self, content: ModelContent, shared: str, tmp_path: Path
    ) -> None:
        registry = Registry(shared)
        experiment = registry.client.create_experiment("twins")
        run_id = str(registry.client.create_run(experiment).info.run_id)
        first = registry.register("twins", content, run_id=run_id, tags={}, passed=False)
        twin = registry.download(first, tmp_path / "twin")
        renamed = msgspec.structs.replace(content.contract, name="renamed")
        (twin / "contract.yaml").write_text(dump_contract(renamed), encoding="utf-8")
        logged = registry.client.create_logged_model(experiment, name="twins")
        registry.client.log_model_artifacts(logged.model_id, str(twin))
        tags = {VersionTag.MODEL_SHA256: first.sha256}
        registry.client.create_model_version(
            "twins", source=f"models:/{logged.model_id}", tags=tags, model_id=logged.model_id
        )

        kept = [
            read_contract(registry.folder(registry.resolve(f"twins/{version}")) / "contract.yaml") for version in (1, 2)
        ]

        assert kept == [content.contract, renamed]

    def test_a_shared_server_accepts_uncommitted_code_only_on_request(
        self, trained: Project, tmp_path: Path, shared: str
    ) -> None:
        project = copy_of(trained, tmp_path / "project")
        (project.conf_dir / "model" / "mine.yaml").write_text("name: forest\n", encoding="utf-8")

        refused = run_mlp(project, "train", env={"MLFLOW_TRACKING_URI": shared}, expect=1)
        allowed = run_mlp(project, "train", "--allow-dirty", "--json", env={"MLFLOW_TRACKING_URI": shared}, expect=None)

        assert "conf/model/mine.yaml" in refused.stderr
        version = json.loads(allowed.stdout)["version"]
        assert Registry(shared).resolve(f"sample-model/{version}").tags[VersionTag.DIRTY] == "true"

    def test_a_model_loads_with_and_without_a_server_however_it_was_trained(
        self, trained: Project, tmp_path: Path
    ) -> None:
        project = copy_of(trained, tmp_path / "project")
        ensure_database(project.database)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
        ]
        command += [
            "--backend-store-uri",
            f"sqlite:///{project.database.as_posix()}",
            "--default-artifact-root",
            (project.state_dir / "artifacts").as_uri(),
        ]
        env = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with server(command, f"{url}/health", tmp_path / "server.txt", env=env):
            this = psutil.Process()
            record = {"pid": this.pid, "create_time": this.create_time(), "command": this.cmdline(), "url": url}
            state = {"root": str(project.root), "services": {"mlflow": record}}
            (project.state_dir / "platform.json").write_text(json.dumps(state), encoding="utf-8")

            through = load_model("sample-model/1", project)
            trained_through = json.loads(run_mlp(project, "train", "--json").stdout)
            assert open_registry(project, Settings()).uri == url

        without = load_model("sample-model@champion", project)

        assert open_registry(project, Settings()).uri.startswith("sqlite:")
        assert (through.version, trained_through["promoted"], without.version) == ("1", True, "2")
