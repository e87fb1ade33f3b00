"""What `mlp doctor` reports about the machine."""

import os
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from platform_lib.findings import Finding
from platform_lib.local_platform import machine
from platform_lib.local_platform.startup import bring_up
from platform_lib.local_platform.state import PlatformState
from platform_lib.settings import Project
from tests.local_platform.conftest import MakeService

Usage = namedtuple("Usage", ["total", "used", "free"])


@pytest.fixture
def somewhere(tmp_path: Path) -> Project:
    return Project(root=tmp_path, name="sample-model", package="sample_model")


def levels(findings: object) -> dict[str, str]:
    return {finding.area: finding.level for finding in findings if isinstance(finding, Finding)}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("version", "level"),
    [((3, 10, 14), "problem"), ((3, 11, 0), "ok"), ((3, 14, 2), "ok")],
    ids=["too-old", "oldest", "newer"],
)
def test_pythons_version_is_checked(version: tuple[int, ...], level: str) -> None:
    assert levels(machine.check_python(version)) == {"Python": level}


def test_missing_programs_are_named_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, somewhere: Project
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "pdm.lock").touch()
    found = [*machine.check_git(), *machine.check_make(), *machine.check_package_manager(somewhere)]
    assert levels(found) == {"git": "problem", "make": "note", "pdm": "problem"}
    assert all(finding.remedy for finding in found)


@pytest.mark.parametrize(
    ("file", "text", "wanted"),
    [
        ("uv.lock", "", "uv"),
        ("pdm.lock", "", "pdm"),
        (".copier-answers.yml", "package_manager: pdm\n", "pdm"),
        (".copier-answers.yml", "task: regression\n", "uv or pdm"),
    ],
    ids=["uv-lock", "pdm-lock", "answers", "unknown"],
)
def test_the_projects_package_manager_is_checked(somewhere: Project, file: str, text: str, wanted: str) -> None:
    (somewhere.root / file).write_text(text)
    assert [finding.area for finding in machine.check_package_manager(somewhere)] == [wanted]


def test_a_package_manager_that_make_setup_installed_is_found(
    somewhere: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (somewhere.root / "uv.lock").write_text("version = 1\n", encoding="utf-8")
    installed = somewhere.root / ".tools" / "bin" / "uv"
    installed.parent.mkdir(parents=True)
    installed.write_text("#!/bin/sh\necho uv 0.9.9\n", encoding="utf-8")
    installed.chmod(0o755)
    monkeypatch.setenv("PATH", "/no/folder")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    assert [(found.level, found.text) for found in machine.check_package_manager(somewhere)] == [("ok", "uv 0.9.9")]


def test_a_missing_git_identity_gives_both_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER")) or name == "EMAIL"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.chdir(tmp_path)
    [_, identity] = machine.check_git()
    assert (identity.level, identity.area) == ("problem", "git identity")
    assert "user.name" in identity.remedy
    assert "user.email" in identity.remedy


def test_a_missing_package_of_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "TRAINING_MODULES", ("json", "no_such_module"))
    [_, extra] = machine.check_library()
    assert (extra.level, extra.text) == ("problem", "not importable: no_such_module")


def test_checking_the_extra_imports_none_of_it() -> None:
    code = (
        "import sys; from platform_lib.local_platform import machine; "
        "list(machine.check_library()); print('mlflow' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "False"
    )


def test_a_taken_port_is_a_note_that_names_its_holder(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        monkeypatch.setattr(machine, "USUAL_PORTS", {"MLflow": listener.getsockname()[1]})
        [finding] = machine.check_ports(None)
    assert finding.level == "note"
    assert f"process {os.getpid()}" in finding.text


def test_a_port_held_by_this_project_is_fine(
    state: PlatformState, make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = make_service("mlflow")
    bring_up(state, [service])
    monkeypatch.setattr(machine, "USUAL_PORTS", {"MLflow": service.port})
    [finding] = machine.check_ports(Project(root=state.root, name="a", package="a"))
    assert (finding.level, finding.text) == ("ok", "used by this project's platform (mlflow)")


@pytest.mark.parametrize(
    ("free_gb", "level"), [(0.5, "problem"), (3, "note"), (50, "ok")], ids=["full", "scarce", "enough"]
)
def test_free_disk_space_is_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_gb: float, level: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1e12, 0, free_gb * 1e9))
    assert levels(machine.check_disk(tmp_path)) == {"disk": level}


def test_a_folder_that_is_not_writable_is_a_problem(tmp_path: Path) -> None:
    [finding] = machine.check_writing(tmp_path / "absent")
    assert finding.level == "problem"


def test_checking_leaves_no_file(somewhere: Project) -> None:
    machine.examine_machine(somewhere)
    assert list(somewhere.root.iterdir()) == []
