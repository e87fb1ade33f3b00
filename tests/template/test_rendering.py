"""Every combination of answers renders a valid, clean, portable project that needs no --trust."""

import ast
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from pytest_copie.plugin import Copie

from platform_lib.settings import Project
from tests.conftest import REPOSITORY, git

TARGETS = [
    "help",
    "setup",
    "lock",
    "format",
    "check",
    "test",
    "data",
    "train",
    "serve",
    "image",
    "deploy",
    "docs",
    "up",
    "down",
]
# Free texts: once as most people answer, and once as awkward as they may be.
TEXTS: list[dict[str, str]] = [
    {},
    {
        "project_name": "x" * 20 + "-" + "y" * 19,
        "description": 'Says "x" \\ Prédit <b> 客户 🐧, ' + "in a very long sentence " * 10,
        "dvc_remote": "s3://my-bucket/folder/of/tables",
        "repository_owner": "My-Team",
    },
]
# No slashes or line breaks, and none of the characters and names that Windows refuses.
WINDOWS_SAFE = re.compile(r'(?!(con|prn|aux|nul|com\d|lpt\d)(\.|$))[^<>:"|?*\\]*[^<>:"|?*\\. ]', re.IGNORECASE)


@pytest.fixture(scope="module")
def rendered(
    render: Callable[..., Path], questions: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A project for every allowed combination of choices and texts."""
    base = tmp_path_factory.mktemp("rendered")
    # The files of CI have their own tests.
    axes = {name: entry["choices"] for name, entry in questions.items() if "choices" in entry and name != "ci"}
    values = [list(choices.values()) if isinstance(choices, dict) else choices for choices in axes.values()]
    projects = {}
    for combination, (number, texts) in itertools.product(itertools.product(*values), enumerate(TEXTS)):
        answers = dict(zip(axes, combination, strict=True)) | texts
        # With a deployment, a project differs in deploy/, the pin and one line: half of the combinations show that.
        if (answers["task"], answers["data_source"]) != ("regression", "iris") and (
            answers["deploy_target"] == "none"
        ) == (number == 0):
            name = "-".join([*combination, str(number)])
            projects[name] = render(base / name, **answers)
    return projects


def files(rendered: dict[str, Path], pattern: str = "*") -> list[Path]:
    return [path for folder in rendered.values() for path in sorted(folder.rglob(pattern)) if path.is_file()]


def test_every_allowed_combination_is_rendered(rendered: dict[str, Path]) -> None:
    assert len(rendered) == (2 * 3 - 1) * 2 * len(TEXTS)  # the second set of texts comes with a deployment


def test_no_template_syntax_is_left(rendered: dict[str, Path]) -> None:
    left = re.compile(r"(?<!\$)\{\{|\{%|%\}|\{#")
    assert [str(path) for path in files(rendered) if left.search(path.read_text(encoding="utf-8"))] == []


def test_toml_yaml_and_notebooks_parse(rendered: dict[str, Path]) -> None:
    for path in files(rendered, "*.toml"):
        tomllib.loads(path.read_text(encoding="utf-8"))
    for path in files(rendered, "*.y*ml"):
        yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in files(rendered, "*.ipynb"):
        nbformat.validate(nbformat.reads(path.read_text(encoding="utf-8"), as_version=4))


def test_python_compiles(rendered: dict[str, Path]) -> None:
    for path in files(rendered, "*.py"):
        compile(path.read_text(encoding="utf-8"), str(path), "exec", flags=ast.PyCF_ONLY_AST)


@pytest.mark.parametrize("command", [["format", "--check", "--quiet"], ["check", "--quiet"]], ids=["format", "lint"])
def test_ruff_finds_nothing(rendered: dict[str, Path], command: list[str]) -> None:
    parent = next(iter(rendered.values())).parent
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", str(parent)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_line_ending_matches_gitattributes(rendered: dict[str, Path]) -> None:
    wrong = []
    for path in files(rendered):
        content = path.read_bytes()
        if b"\r" in content or (content and not content.endswith(b"\n")) or content.endswith(b"\n\n"):
            wrong.append(path.relative_to(path.parents[1]).as_posix())
    assert wrong == []


def test_every_file_name_is_valid_on_windows(rendered: dict[str, Path]) -> None:
    names = {
        part for folder in rendered.values() for path in folder.rglob("*") for part in path.relative_to(folder).parts
    }
    assert [name for name in names if not WINDOWS_SAFE.fullmatch(name)] == []
    for folder in rendered.values():
        lower = [path.relative_to(folder).as_posix().lower() for path in folder.rglob("*")]
        assert len(lower) == len(set(lower))


def test_git_ignores_predictions_and_tables_before_their_import(project: Project) -> None:
    for name in ("predictions.csv", "mine.tsv", "predictions.parquet"):
        (project.root / name).touch()
    (project.root / "tests" / "rows.csv").touch()
    assert git(project.root, "status", "--porcelain").split() == ["??", "tests/rows.csv"]


def test_no_lock_file_is_rendered(rendered: dict[str, Path]) -> None:
    assert files(rendered, "*.lock") == []


def test_notebooks_contain_no_outputs(rendered: dict[str, Path]) -> None:
    for path in files(rendered, "*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_there_is_one_table_if_a_sample_was_chosen_and_otherwise_none(rendered: dict[str, Path]) -> None:
    for name, folder in rendered.items():
        tables = sorted(path.name for kind in ("data/*.csv", "conf/data/*.yaml") for path in folder.glob(kind))
        assert tables == ([] if "own" in name else ["sample.csv", "sample.yaml"]), name


def test_the_pin_is_between_two_comments_before_the_users_dependencies(rendered: dict[str, Path]) -> None:
    """Of the layouts measured, only this one merges `uv add`, `pdm add` and appended lines without a conflict."""
    for name, folder in rendered.items():
        extras = {"training", "infra"} if "kubernetes" in name else {"training"}
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        lines = text[text.index("dependencies = [") :].splitlines()
        assert [line.strip()[:12] for line in lines[1:6]] == [
            "# template-m",
            '"platform-li',
            "# your depen",
            '"scikit-lear',
            "]",
        ]
        pin = Requirement(json.loads(lines[2].strip().rstrip(",")))
        assert (pin.name, pin.extras, bool(pin.url)) == ("platform-lib", extras, True)


def test_make_help_and_the_readme_list_every_target(rendered: dict[str, Path]) -> None:
    for folder in (rendered["classification-sample-uv-none-0"], rendered["regression-own-pdm-kubernetes-1"]):
        shown = subprocess.run(["make", "help"], cwd=folder, capture_output=True, text=True, check=True).stdout
        assert [line.split()[1] for line in shown.splitlines()] == TARGETS
        readme = (folder / "README.md").read_text(encoding="utf-8")
        assert [target for target in TARGETS[1:] if f"`make {target}`" not in readme] == []


def with_tools() -> dict[str, str]:
    """An environment with uv and pdm on PATH, as on most machines.

    Without them `make setup` installs one into .tools.
    """
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def test_each_documented_image_build_names_builder_target_and_tag(render: Callable[..., Path], tmp_path: Path) -> None:
    folder = render(tmp_path / "project")
    text = (REPOSITORY / "docs" / "serving.md").read_text(encoding="utf-8").split("## Images\n")[1]
    lines = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)[0].splitlines()
    built = []
    for line in lines:
        words = [*shlex.split(line, comments=True), "-n"]
        made = subprocess.run(
            words, cwd=folder, env=with_tools(), capture_output=True, text=True, check=True
        ).stdout.splitlines()
        assert made[-2].endswith("run mlp image")
        built.append(made[-1])
    assert built == [
        "docker build --build-arg PYTHON=$(cat build/image/python) --target serve --tag my-model:serve .",
        "docker build --build-arg PYTHON=$(cat build/image/python) --target train --tag my-model:2 .",
        "buildah bud --build-arg PYTHON=$(cat build/image/python) --target serve --tag my-model:serve .",
    ]


@pytest.mark.parametrize("manager", ["uv", "pdm"])
def test_the_readme_gives_the_command_behind_each_target(rendered: dict[str, Path], manager: str) -> None:
    folder = rendered[f"classification-sample-{manager}-none-0"]
    rows = [
        line.split("|")[1:3]
        for line in (folder / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| `make ")
    ]
    for targets, commands in rows:
        names = re.findall(r"`make (\w+)`", targets)
        if names == ["setup"]:
            continue  # its parts depend on what is there
        run = subprocess.run(
            ["make", "-n", *names], cwd=folder, env=with_tools(), capture_output=True, text=True, check=True
        ).stdout
        meant = [
            line.strip().removeprefix(f"{manager} run ")
            for line in run.splitlines()
            if line.strip() and "make" not in line and not line.startswith("echo ")
        ]
        assert sorted(set(meant)) == sorted(set(re.findall(r"`([^`]+)`", commands)) - {"mlp data pull"}), names


def test_the_users_own_targets_and_arguments_reach_make(render: Callable[..., Path], tmp_path: Path) -> None:
    folder = render(tmp_path / "project")
    (folder / "Makefile.user").write_text(
        "ARGS := model=forest\nci-extra::\n\techo more\nhello: ## Say hello\n\techo hello\n", encoding="utf-8"
    )
    done = subprocess.run(
        ["make", "-n", "train", "ci-extra", "hello"],
        cwd=folder,
        env=with_tools(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["uv run mlp train model=forest", "echo more", "echo hello"]
    shown = subprocess.run(["make", "help"], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert "make hello    Say hello" in shown


def test_the_template_needs_no_trust() -> None:
    """The template has no tasks, migrations or extensions.

    A single release with one would burden every project made from it permanently.
    """
    entries = yaml.safe_load((REPOSITORY / "copier.yml").read_text(encoding="utf-8"))
    assert {name for name in entries if name.startswith("_")} == {
        "_min_copier_version",
        "_subdirectory",
        "_templates_suffix",
        "_answers_file",
        "_envops",
        "_exclude",
        "_message_after_copy",
        "_external_data",  # only of files in the project: without trust
        "_message_after_update",
    }


def test_a_template_with_a_task_would_fail_these_tests(template_source: Path, tmp_path: Path) -> None:
    """The other tests copy without trust, so they would detect it."""
    import shutil

    source = Path(shutil.copytree(template_source, tmp_path / "source"))
    with (source / "copier.yml").open("a", encoding="utf-8") as file:
        file.write('_tasks: ["true"]\n')
    with pytest.raises(copier.errors.UnsafeTemplateError):
        copier.run_copy(str(source), tmp_path / "project", defaults=True, quiet=True)


def test_pytest_copie_renders_the_template(copie: Copie) -> None:
    result = copie.copy(extra_answers={"project_name": "smoke-model"})
    assert (result.exit_code, result.exception) == (0, None)
    assert (Path(str(result.project_dir)) / "src" / "smoke_model" / "model.py").is_file()
