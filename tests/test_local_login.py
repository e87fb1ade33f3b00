"""The password of a project's local platform."""

import os
import stat
from pathlib import Path

import pytest

from platform_lib import local_login
from platform_lib.errors import ServiceError
from platform_lib.settings import Project, Settings


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=tmp_path, name="sample-model", package="sample_model")


def test_a_project_keeps_its_password_and_another_has_another(project: Project, tmp_path: Path) -> None:
    assert local_login.password(project) is None
    first = local_login.ensure_password(project)
    assert local_login.ensure_password(project) == local_login.password(project) == first
    assert local_login.ensure_password(project, renew=True) == local_login.password(project) != first
    other = Project(root=tmp_path / "other", name="sample-model", package="sample_model")
    assert len({first, local_login.ensure_password(other)}) == 2
    assert len(first) >= 43  # 256 bits


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_its_owner_can_read_the_file(project: Project) -> None:
    before = os.umask(0)
    try:
        first = local_login.ensure_password(project)
    finally:
        os.umask(before)
    [file] = project.state_dir.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    assert local_login.ensure_password(project) != first, "others may have read it"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"], ids=["empty", "blank", "not text"])
def test_a_broken_file_is_replaced(project: Project, content: bytes) -> None:
    project.state_dir.mkdir()
    (project.state_dir / "platform-password").write_bytes(content)
    assert local_login.ensure_password(project)


def test_a_folder_that_cannot_be_written_is_reported(project: Project) -> None:
    project.state_dir.write_text("a file")
    with pytest.raises(ServiceError, match="cannot write the password"):
        local_login.ensure_password(project)


def test_without_a_running_platform_nothing_is_logged_in(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    local_login.ensure_password(project)
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD", raising=False)
    local_login.log_in_to_mlflow(project, "http://127.0.0.1:5000")
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ
    assert local_login.login_link(project, "http://127.0.0.1:5000/#/x", "mlflow") == "http://127.0.0.1:5000/#/x"
    shared = Settings(prefect_api_url="https://prefect.example.com/api", prefect_auth="ada:pw")
    assert local_login.prefect_auth(project, shared) == "ada:pw"
    assert "ada:pw" not in repr(shared)
