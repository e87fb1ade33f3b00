"""What people do to a generated project between two updates."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomlkit

from platform_lib.settings import find_project
from tests.conftest import git

Edit = Callable[[Path], None]


def replace(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{name} does not hold {old!r} once"
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")


def append(folder: Path, name: str, text: str) -> None:
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write(text)


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def nothing(folder: Path) -> None:
    pass


def uv_add(folder: Path) -> None:
    """Add packages that sort before, between and after the template's lines, in both lists."""
    for group in ([], ["--dev"]):
        packages = ["attrs>=23", "idna>=3", "zipp>=3"]
        subprocess.run(
            [sys.executable, "-m", "uv", "add", "--quiet", "--frozen", "--offline", *group, *packages],
            cwd=folder,
            check=True,
        )


def uv_add_from_index(folder: Path) -> None:
    index = ["--index", "ours=https://packages.example.com/simple"]
    subprocess.run(
        [sys.executable, "-m", "uv", "add", "--quiet", "--frozen", "--offline", *index, "our-features>=1"],
        cwd=folder,
        check=True,
    )


def pdm_add(folder: Path) -> None:
    """Write what `pdm add` and `pdm add -dG dev` write; the commands resolve everything first, for minutes."""
    document: Any = tomlkit.parse((folder / "pyproject.toml").read_text(encoding="utf-8"))
    for array in (document["project"]["dependencies"], document["dependency-groups"]["dev"]):
        array.append("idna>=3")
        array.multiline(True)
    write(folder, "pyproject.toml", tomlkit.dumps(document))


def dependencies_by_hand(folder: Path) -> None:
    """Add a line right after the pin, and one at the end of each list."""
    lines = (folder / "pyproject.toml").read_text(encoding="utf-8").splitlines(keepends=True)
    pin = next(number for number, line in enumerate(lines) if line.startswith('    "platform-lib['))
    lines.insert(pin + 1, '    "idna>=3",\n')
    write(folder, "pyproject.toml", "".join(lines))
    replace(folder, "pyproject.toml", '    "scikit-learn>=1.7",\n', '    "scikit-learn>=1.7",\n    "zipp>=3",\n')
    replace(folder, "pyproject.toml", '    "nbclient>=0.10",\n', '    "nbclient>=0.10",\n    "pytest-xdist>=3",\n')


def own_version(folder: Path) -> None:
    replace(folder, "pyproject.toml", 'version = "0.1.0"', 'version = "1.4.0"')


def own_tools(folder: Path) -> None:
    append(folder, "pyproject.toml", "\n[tool.coverage.run]\nbranch = true\n")


def shared_texts(folder: Path) -> None:
    append(folder, "README.md", "\n## Who to ask\n\nThe churn team.\n")
    append(folder, ".gitignore", "*.xlsx\n")
    append(folder, ".dockerignore", "!sql\n")


def seeds_changed(folder: Path) -> None:
    package = f"src/{find_project(folder).package}"
    append(folder, f"{package}/features.py", "\n\nEDITED = True\n")
    (folder / package / "metrics.py").unlink(missing_ok=True)
    (folder / package / "model.py").rename(folder / package / "our_model.py")
    append(folder, "tests/test_model.py", "\n\n# edited\n")
    (folder / "tests" / "test_notebook.py").unlink(missing_ok=True)
    write(folder, f"{package}/ratios.py", "RATIO = 2\n")


def own_configuration(folder: Path) -> None:
    write(folder, "conf/model/deep_forest.yaml", "name: forest\nparams: {n_estimators: 500}\n")
    write(folder, "conf/experiment/wide.yaml", "# @package _global_\nseed: 3\n")
    replace(folder, "conf/train.yaml", "  - model: logistic\n", "  - model: deep_forest\n")
    (folder / "conf" / "model" / "boosting.yaml").unlink()


def imported_table(folder: Path) -> None:
    write(folder, "data/churn.parquet.dvc", "outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  path: churn.parquet\n")
    write(folder, "data/.gitignore", "/churn.parquet\n")
    write(folder, "conf/data/churn.yaml", "path: data/churn.parquet\n")
    config = folder / ".dvc" / "config"
    write(folder, ".dvc/config", config.read_text(encoding="utf-8").replace("../../churn-model-dvc-storage", "s3://b"))


def extension_points(folder: Path) -> None:
    write(folder, "Makefile.user", "ci-extra::\n\techo more\n")
    write(folder, ".github/workflows/own.yml", "on: push\njobs: {}\n")


def owned_files(folder: Path) -> None:
    """Add lines to files of the template all the same."""
    append(folder, "Makefile", "\nour-target:\n\techo ours\n")
    lines = (folder / "README.md").read_text(encoding="utf-8").splitlines(keepends=True)
    row = next(number for number, line in enumerate(lines) if line.startswith("| `make docs`"))
    lines.insert(row + 1, "| `make our-target` | `echo ours` | what we do |\n")
    write(folder, "README.md", "".join(lines))
    replace(folder, "pyproject.toml", "[tool.mypy]\n", "[tool.mypy]\nwarn_unreachable = true\n")
    append(folder, "Dockerfile", "\nLABEL team=churn\n")


def other_branch(folder: Path) -> None:
    git(folder, "branch", "-m", "trunk")


def windows_line_ends(folder: Path) -> None:
    for name in ("README.md", "Makefile", "pyproject.toml", "Dockerfile"):
        text = (folder / name).read_bytes()
        (folder / name).write_bytes(text.replace(b"\n", b"\r\n"))


def git_settings(folder: Path) -> None:
    """Set what makes Copier alone miss rejected changes or refuse the user's lines."""
    settings = {
        "apply.whitespace": "error",
        "core.autocrlf": "true",
        "diff.noprefix": "true",
        "merge.conflictStyle": "merge",
        "status.showUntrackedFiles": "no",
    }
    for name, value in settings.items():
        git(folder, "config", name, value)
    dependencies_by_hand(folder)


EDITS: tuple[Edit, ...] = (
    nothing,
    uv_add,
    uv_add_from_index,
    pdm_add,
    dependencies_by_hand,
    own_version,
    own_tools,
    shared_texts,
    seeds_changed,
    own_configuration,
    imported_table,
    extension_points,
    owned_files,
    other_branch,
    windows_line_ends,
    git_settings,
)


def everything(folder: Path) -> None:
    for edit in EDITS:
        if edit not in (dependencies_by_hand, git_settings):
            edit(folder)
    git_settings(folder)
