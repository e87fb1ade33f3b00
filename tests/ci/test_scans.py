"""`mlp ci secrets` and `mlp ci audit` run the real scanners; the database of vulnerabilities is a test server."""

import base64
import hashlib
from collections.abc import Callable

import pytest

from platform_lib.settings import Project
from tests.conftest import Called, commit_all

pytestmark = pytest.mark.slow

KEY = "AKIA" + "IOSFODNN7EXAMPLF"  # in two parts, so that scanners of this repository do not find it


def base64_of(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_a_secret_in_git_is_found_and_hashes_are_not(project: Project, call_mlp: Callable[..., Called]) -> None:
    (project.root / "deploy").mkdir()
    (project.root / "deploy" / "keys.yaml").write_text(f'secret: "{base64_of("key")}"\n', encoding="utf-8")
    (project.root / "uv.lock").write_text(f'hash = "sha256-{base64_of("wheel")}"\n', encoding="utf-8")
    (project.root / "src" / "digest.py").write_text(f'MD5 = "{hashlib.md5(b"table").hexdigest()}"\n', encoding="utf-8")
    commit_all(project.root)
    clean = call_mlp(project, "ci", "secrets")
    assert (clean.code, clean.out) == (0, "No secrets found.\n")
    (project.root / "src" / "settings.py").write_text(f'\nkey = "{KEY}"\n', encoding="utf-8")
    commit_all(project.root)
    found = call_mlp(project, "ci", "secrets")
    assert found.code == 1
    assert found.out.startswith("src/settings.py:2: AWS Access Key\n")
    assert "revoke them" in found.out
    (project.root / "src" / "settings.py").write_text(f'key = "{KEY}"  # pragma: allowlist secret\n', encoding="utf-8")
    assert call_mlp(project, "ci", "secrets").code == 0


def test_a_vulnerable_dependency_is_found_with_its_fix(
    project: Project, call_mlp: Callable[..., Called], osv_with_click: str
) -> None:
    found = call_mlp(project, "ci", "audit", "--osv-url", osv_with_click)
    assert found.code == 1
    assert "PYSEC-2026-1; update to 99.1" in found.out
    accepted = call_mlp(project, "ci", "audit", "--osv-url", osv_with_click, "--ignore", "PYSEC-2026-1")
    assert (accepted.code, accepted.out) == (0, "No known vulnerabilities.\n")


def test_a_database_that_does_not_answer_is_an_error_and_no_pass(
    project: Project, call_mlp: Callable[..., Called]
) -> None:
    called = call_mlp(project, "ci", "audit", "--osv-url", "http://127.0.0.1:9/v1/query")
    assert called.code == 3
    assert "pip-audit" in called.err
