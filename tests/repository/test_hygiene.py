"""What must never be committed, and what must stay in sync."""

import re
import subprocess
import tomllib

from platform_lib.cli import COMMANDS
from tests.conftest import REPOSITORY

# Written in parts, so that this file does not contain what it forbids.
FORBIDDEN = re.compile(
    "|".join(
        [
            "files\\.python" + "hosted",
            "py" + "pi\\.org",
            "registry\\.npm" + "js",
            "--(extra-)?index" + "-url",
            "(^|[^\\w.-])/(wo" + "rk|ro" + "ot)/\\w",
        ]
    )
)


def tracked_files() -> list[str]:
    return subprocess.run(["git", "ls-files"], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )[:-1]


def test_no_committed_file_names_a_package_index_or_a_path_of_a_machine() -> None:
    found = []
    for name in tracked_files():
        if name.endswith((".parquet", ".png")):
            continue
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        found += [f"{name}: {match.group()}" for match in FORBIDDEN.finditer(text)]
    assert found == []


def test_the_library_files_stay_under_300_lines() -> None:
    code = [name for name in tracked_files() if name.endswith(".py") and not name.startswith("tests/")]
    long = [name for name in code if len((REPOSITORY / name).read_text(encoding="utf-8").splitlines()) > 300]
    assert long == []


def test_the_readme_stays_under_150_lines() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_every_development_requirement_is_pinned_by_hash() -> None:
    text = (REPOSITORY / "requirements" / "dev.txt").read_text(encoding="utf-8")
    entries = [line for line in text.replace("\\\n", "").splitlines() if "==" in line]
    assert len(entries) > 100
    assert [line for line in entries if "--hash=sha256:" not in line] == []


def test_the_training_extra_contains_all_that_serving_needs() -> None:
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    assert set(extras["serving"]) <= set(extras["training"])


def test_every_script_that_the_makefile_runs_is_in_git() -> None:
    named = re.findall(
        r"^\t@?(?:\$\((?:BIN\)/python|PYTHON\)) )?((?:tests|scripts)/\S+)",
        (REPOSITORY / "Makefile").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert len(named) >= 3
    assert set(named) <= set(tracked_files())  # a name in .gitignore once excluded one


def test_every_command_has_a_module() -> None:
    missing = [
        name for name, entry in COMMANDS.items() if not (REPOSITORY / f"{entry.module.replace('.', '/')}.py").is_file()
    ]
    assert missing == []
