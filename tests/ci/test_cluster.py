"""`mlp ci kubeconfig` and the real kubectl, with the identity that a server like GitHub's issues."""

import base64
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from platform_lib.settings import Project
from tests.conftest import Called
from tests.operations.servers import Answer, answering

EXPIRES = 4_000_000_000
TOKEN = ".".join(
    base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, {"exp": EXPIRES}, {})
)


@pytest.mark.engine
def test_kubectl_logs_in_as_the_run_without_a_stored_key(
    project: Project,
    call_mlp: Callable[..., Called],
    engine: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, str | None]] = []

    def issue(method: str, path: str, headers: Mapping[str, str]) -> Answer:
        asked.append((path, headers.get("Authorization")))
        return 200, {}, json.dumps({"value": TOKEN}).encode()

    file = tmp_path / "kube" / "config"
    called = call_mlp(
        *(project, "ci", "kubeconfig", "--server", "https://127.0.0.1:9", "--audience", "cluster"),
        *("--namespace", "team-red", "--out", str(file)),
    )
    assert called.code == 0, called.err
    assert TOKEN not in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o077 == 0
    with answering(issue) as port:
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"http://127.0.0.1:{port}/token?api-version=2.0")
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job")
        kubectl = [engine("kubectl"), "--kubeconfig", str(file), "get", "pods", "--request-timeout=2s"]
        refused = subprocess.run(kubectl, capture_output=True, text=True)
        given = json.loads(call_mlp(project, "ci", "token", "--audience", "cluster").out)
    assert asked[0] == ("/token?api-version=2.0&audience=cluster", "Bearer of-the-job")
    assert "127.0.0.1:9" in refused.stderr  # kubectl had its token, and there is no server
    assert given["status"] == {"token": TOKEN, "expirationTimestamp": "2096-10-02T07:06:40Z"}
    again = call_mlp(project, "ci", "kubeconfig", "--server", "https://127.0.0.1:9", "--out", str(file))
    assert (again.code, "does not replace it" in again.err) == (2, True)


def test_a_job_without_an_identity_is_told_which_right_it_needs(
    project: Project, call_mlp: Callable[..., Called]
) -> None:
    called = call_mlp(project, "ci", "token")
    assert (called.code, "id-token: write" in called.err) == (2, True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--server", "http://cluster"], "expected https://"),
        (["--server", "https://cluster", "--authority", "x"], "begins with -----BEGIN CERTIFICATE-----"),
    ],
)
def test_an_address_or_certificate_that_cannot_work_is_refused(
    project: Project, call_mlp: Callable[..., Called], tmp_path: Path, options: list[str], says: str
) -> None:
    called = call_mlp(project, "ci", "kubeconfig", *options, "--out", str(tmp_path / "config"))
    assert (called.code, says in called.err, (tmp_path / "config").exists()) == (2, True, False)
