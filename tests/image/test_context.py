"""The build context that `mlp image` writes: exactly what the lock requires.

Covers uv's and PDM's locks, and the library as it is installed.
"""

import importlib.metadata
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import platform_lib
from platform_lib.errors import CheckFailed, UsageError
from platform_lib.image.locked import read_lock
from platform_lib.image.wheel import write_wheel
from platform_lib.lineage import SOURCE_FILE, source
from platform_lib.settings import Project, find_project
from tests.conftest import Called, commit_all

UV_LOCK = """
version = 1
[[package]]
name = "web"
version = "2.0"
source = { registry = "index" }
dependencies = [
    { name = "sockets" },
    { name = "winsock", marker = "sys_platform == 'win32'" },
    { name = "armour", marker = "platform_machine == 'aarch64'" },
]
wheels = [{ url = "w", hash = "sha256:aa" }]
sdist = { url = "s", hash = "sha256:bb" }
[package.optional-dependencies]
fast = [{ name = "loops", extra = ["c"] }]
[[package]]
name = "sockets"
version = "1.5"
source = { registry = "index" }
dependencies = [{ name = "web" }]
wheels = [{ url = "w", hash = "sha256:cc" }]
[[package]]
name = "winsock"
version = "1"
source = { registry = "index" }
[[package]]
name = "armour"
version = "1"
source = { registry = "index" }
wheels = [{ url = "w", hash = "sha256:dd" }]
[[package]]
name = "loops"
version = "3"
source = { registry = "index" }
wheels = [{ url = "w", hash = "sha256:ee" }]
[package.optional-dependencies]
c = [{ name = "compiled" }]
[[package]]
name = "compiled"
version = "4"
source = { registry = "index" }
wheels = [{ url = "w", hash = "sha256:ff" }]
[[package]]
name = "ours"
version = "0.1"
source = { git = "https://example.invalid/ours?rev=1" }
dependencies = [{ name = "sockets" }]
[[package]]
name = "unasked"
version = "9"
source = { registry = "index" }
"""
PDM_LOCK = """
[metadata]
lock_version = "4.5.1"
[[package]]
name = "web"
version = "2.0"
dependencies = ["sockets>=1", "winsock; sys_platform == 'win32'", "armour; platform_machine == 'aarch64'"]
files = [{file = "w", hash = "sha256:aa"}, {file = "s", hash = "sha256:bb"}]
[[package]]
name = "web"
version = "2.0"
extras = ["fast"]
dependencies = ["loops[c]", "web==2.0"]
files = [{file = "w", hash = "sha256:aa"}, {file = "s", hash = "sha256:bb"}]
[[package]]
name = "sockets"
version = "1.5"
dependencies = ["web"]
files = [{file = "w", hash = "sha256:cc"}]
[[package]]
name = "armour"
version = "1"
files = [{file = "w", hash = "sha256:dd"}]
[[package]]
name = "loops"
version = "3"
files = [{file = "w", hash = "sha256:ee"}]
[[package]]
name = "loops"
version = "3"
extras = ["c"]
dependencies = ["compiled", "loops==3"]
[[package]]
name = "compiled"
version = "4"
files = [{file = "w", hash = "sha256:ff"}]
[[package]]
name = "ours"
version = "0.1"
git = "https://example.invalid/ours"
revision = "1"
dependencies = ["sockets"]
[[package]]
name = "unasked"
version = "9"
"""


@pytest.fixture(params=[("uv.lock", UV_LOCK), ("pdm.lock", PDM_LOCK)], ids=["uv", "pdm"])
def lock_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    name, text = request.param
    file = tmp_path / str(name)
    file.write_text(text, encoding="utf-8")
    return file


def test_an_image_has_only_the_needed_packages_at_the_locks_versions_and_hashes(lock_file: Path) -> None:
    found = read_lock(lock_file).closure([Requirement("web>=2"), Requirement("winsock; sys_platform == 'win32'")])
    assert [each.line() for each in found] == [
        "armour==1 --hash=sha256:dd",
        "sockets==1.5 --hash=sha256:cc",
        "web==2.0 --hash=sha256:aa --hash=sha256:bb",
    ]


def test_extras_bring_all_their_transitive_dependencies(lock_file: Path) -> None:
    names = [each.name for each in read_lock(lock_file).closure([Requirement("web"), Requirement("Web[fast]")])]
    assert names == ["armour", "compiled", "loops", "sockets", "web"]


def test_a_git_dependency_has_no_hash_and_brings_its_dependencies(lock_file: Path) -> None:
    found = {each.name: each.hashes for each in read_lock(lock_file).closure([Requirement("ours")])}
    assert found["ours"] == ()
    assert set(found) == {"armour", "ours", "sockets", "web"}


def test_an_excluded_package_brings_no_dependencies(lock_file: Path) -> None:
    lock = read_lock(lock_file)
    assert lock.closure([Requirement("ours"), Requirement("loops")], without=frozenset({"ours"})) == lock.closure(
        [Requirement("loops")]
    )


def test_a_package_that_is_missing_from_the_lock_is_named(lock_file: Path) -> None:
    with pytest.raises(UsageError, match=r"has no web that matches >=3: run `make lock`"):
        read_lock(lock_file).closure([Requirement("web>=3")])


def test_the_library_is_packed_reproducibly_from_its_installed_files(tmp_path: Path) -> None:
    wheel = write_wheel("platform-lib", tmp_path / "one")
    assert write_wheel("platform-lib", tmp_path / "two").read_bytes() == wheel.read_bytes()
    names = set(zipfile.ZipFile(wheel).namelist())
    root = Path(platform_lib.__file__).parents[1]
    assert {name for name in names if ".dist-info" not in name} == {
        path.relative_to(root).as_posix()
        for path in (root / "platform_lib").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(tmp_path / "installed"),
            str(wheel),
        ]
    )
    assert done.returncode == 0
    assert (tmp_path / "installed" / "bin" / "mlp").is_file() or (
        tmp_path / "installed" / "Scripts" / "mlp.exe"
    ).is_file()


def test_compiled_code_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="numpy comes from git or a folder and contains compiled code"):
        write_wheel("numpy", tmp_path)


def test_a_lock_that_lacks_the_library_is_refused_in_one_sentence(
    project: Project, call_mlp: Callable[..., Called]
) -> None:
    called = call_mlp(project, "image")
    assert called.code == 2
    assert "uv.lock has no " in called.err


@pytest.mark.parametrize(
    ("added", "expected"),
    [('"lightgbm>=4"', "lightgbm"), (None, "lightgbm"), ('"catboost"', "catboost"), ('"click"', "")],
    ids=["own requirement", "extra", "another library", "neither"],
)
def test_a_boosting_library_gets_into_both_images_with_its_system_packages(
    added: str | None, expected: str, project: Project, call_mlp: Callable[..., Called]
) -> None:
    file = project.root / "pyproject.toml"
    text = file.read_text(encoding="utf-8")
    text = (
        text.replace("platform-lib[training]", "platform-lib[training,lightgbm]")
        if added is None
        else text.replace('"scikit-learn>=1.7",', f'"scikit-learn>=1.7", {added},')
    )
    file.write_text(text, encoding="utf-8")
    entry = (
        '[[package]]\nname = "{}"\nversion = "{}"\nsource = {{ registry = "i" }}\nwheels = [{{ hash = "sha256:aa" }}]\n'
    )
    names = {Requirement(line).name for line in importlib.metadata.requires("platform-lib") or []} - {"xgboost"}
    content = "\n".join(entry.format(name, importlib.metadata.version(name)) for name in sorted(names))
    (project.root / "uv.lock").write_text(content, encoding="utf-8")
    commit_all(project.root)

    called = call_mlp(project, "image")

    assert called.code == 0, called.err
    folder = project.root / "build" / "image"
    for target in ("serve", "train"):
        lines = (folder / f"{target}.txt").read_text(encoding="utf-8").splitlines()
        boosters = {line.partition("==")[0] for line in lines} & {"lightgbm", "xgboost-cpu", "catboost"}
        assert boosters == ({expected} if expected else set())
    assert (folder / "system.txt").read_text(encoding="utf-8") == ("libgomp1\n" if expected == "lightgbm" else "")


def test_in_an_image_lineage_uses_the_commit_it_was_built_from(project: Project, tmp_path: Path) -> None:
    commit = commit_all(project.root)
    (project.root / "src" / "stray.py").write_text("", encoding="utf-8")
    assert source(project) == (commit, ("src/stray.py",))
    image = tmp_path / "image"
    image.mkdir()
    (image / "pyproject.toml").write_bytes((project.root / "pyproject.toml").read_bytes())
    with pytest.raises(CheckFailed, match="has no git commit"):
        source(find_project(image))
    (image / SOURCE_FILE).write_text(
        json.dumps({"git_commit": commit, "dirty_files": ["src/stray.py"]}), encoding="utf-8"
    )
    assert source(find_project(image)) == (commit, ("src/stray.py",))
