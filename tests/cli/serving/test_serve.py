"""`mlp serve` where it must not start: one sentence, the right exit code, no listener left."""

import socket
from pathlib import Path

import pytest

from platform_lib.settings import Project
from tests.conftest import run_mlp


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "pyproject.toml").write_text('[tool.mlp]\nmodel = "churn"\n', encoding="utf-8")
    return Project(root=tmp_path, name="churn", package="churn")


def test_a_non_loopback_address_is_refused_without_keys(project: Project) -> None:
    done = run_mlp(project, "serve", "--host", "0.0.0.0", expect=2)
    assert done.stdout == ""
    assert done.stderr.startswith("error: --host 0.0.0.0 would let other machines call without a key")
    assert len(done.stderr.splitlines()) == 1


def test_a_taken_port_is_reported_with_a_remedy(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run_mlp(project, "serve", "--port", str(port), expect=3)
    assert f"error: port {port} is taken by " in done.stderr
    assert f"choose another with --port, such as --port {port + 1}." in done.stderr


def test_outside_a_project_it_says_so(tmp_path: Path) -> None:
    done = run_mlp(tmp_path, "serve", expect=2)
    assert "is not inside a project" in done.stderr


def test_an_invalid_model_reference_is_refused(project: Project) -> None:
    done = run_mlp(project, "serve", "a@b@c", expect=2)
    assert "is not a model reference" in done.stderr


def test_a_symlinked_key_file_is_resolved_at_each_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pod the key file is a symlink; a change of the keys moves the link and deletes its old target."""
    from click.testing import CliRunner

    from platform_lib.cli.serving.serve import command
    from platform_lib.serving.settings import ServerOptions

    seen: list[ServerOptions] = []
    monkeypatch.setattr("platform_lib.serving.server.run_server", lambda options, *_args, **_more: seen.append(options))
    (tmp_path / "first.yaml").write_text("keys: []\n", encoding="utf-8")
    (tmp_path / "keys.yaml").symlink_to(tmp_path / "first.yaml")
    result = CliRunner().invoke(command, ["people/1", "--keys", str(tmp_path / "keys.yaml")])
    assert result.exit_code == 0, result.output
    assert seen[0].settings["keys"] == str(tmp_path / "keys.yaml")
