"""Scans of a repository by programs that `uv tool run` fetches: secrets in files, vulnerable dependencies."""

import json
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from platform_lib import git
from platform_lib.errors import ServiceError, UsageError
from platform_lib.settings import Project

PIP_AUDIT = "pip-audit==2.10.1"
DETECT_SECRETS = "detect-secrets==1.5.0"
BASELINE = ".secrets.baseline"
# Hashes are not secrets: those of lock files, of DVC, of notebooks' outputs, and of API keys.
_NOT_SCANNED = r"(^|/)(uv|pdm)\.lock$|\.dvc$|\.ipynb$|^deploy/keys\.yaml$|^\.secrets\.baseline$"
_TIMEOUT_S = 600.0


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """A line that looks like a secret."""

    file: str
    line: int
    kind: str
    """Such as `AWS Access Key`."""


class Vulnerability(msgspec.Struct, frozen=True, kw_only=True):
    """A known vulnerability of an installed distribution."""

    distribution: str
    version: str
    id: str
    """Such as `PYSEC-2026-1` or `GHSA-…`."""
    fixed_in: list[str]
    """Versions without it; empty if there is none."""


def find_secrets(project: Project) -> list[Secret]:
    """Scan the files in git for secrets, except those that `.secrets.baseline` accepts.

    Raises:
        UsageError: uv is missing, or `.secrets.baseline` is invalid.
        ServiceError: The scanner cannot be fetched.
    """
    files = [name for name in git.require(project.root, "ls-files", "-z").split("\0") if name]
    baseline = ["--baseline", BASELINE] if (project.root / BASELINE).is_file() else []
    options = ["--json", "--exclude-files", _NOT_SCANNED, "--disable-plugin", "HexHighEntropyString", *baseline]
    done = _run(project, DETECT_SECRETS, "detect-secrets-hook", *options, "--", *files)
    if done.returncode == 0:
        return []
    found = _parsed(done, DETECT_SECRETS).get("results", {})
    return [
        Secret(file=file, line=int(each["line_number"]), kind=str(each["type"]))
        for file, secrets in sorted(found.items())
        for each in secrets
    ]


def find_vulnerabilities(project: Project, *, ignored: Sequence[str] = (), osv_url: str = "") -> list[Vulnerability]:
    """Look the installed distributions up in the database of OSV.

    Runs in the project's environment.

    Args:
        project: To scan.
        ignored: Ids that the team accepts.
        osv_url: Address of another server with OSV's API; empty is the public one.
    Raises:
        UsageError: uv is missing.
        ServiceError: The scanner cannot be fetched, or the database does not answer.
    """
    options = ["--path", sysconfig.get_paths()["purelib"], "--format", "json", "--progress-spinner", "off"]
    options += ["--vulnerability-service", "osv", *(["--osv-url", osv_url] if osv_url else [])]
    options += [part for name in ignored for part in ("--ignore-vuln", name)]
    done = _run(project, PIP_AUDIT, "pip-audit", *options)
    return [
        Vulnerability(
            distribution=entry["name"],
            version=entry["version"],
            id=each["id"],
            fixed_in=list(each["fix_versions"]),
        )
        for entry in _parsed(done, PIP_AUDIT).get("dependencies", [])
        for each in entry.get("vulns", [])
    ]


def _run(project: Project, requirement: str, *command: str) -> "subprocess.CompletedProcess[str]":
    uv = project.tool("uv")
    if uv is None:
        raise UsageError("uv is not installed, and this scan needs it to fetch its program: install uv.")
    return subprocess.run(
        [uv, "tool", "run", "--quiet", "--from", requirement, *command],
        cwd=Path(project.root),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=_TIMEOUT_S,
    )


def _parsed(done: "subprocess.CompletedProcess[str]", requirement: str) -> dict[str, Any]:
    """What a scanner printed as JSON, whatever its exit code says."""
    try:
        parsed: dict[str, Any] = json.loads(done.stdout)
        return parsed
    except ValueError as err:
        said = (done.stderr or done.stdout).strip()
        raise ServiceError(f"{requirement} failed with exit code {done.returncode}: {said[-500:]}") from err
