"""Every question: its default, the answers that it refuses, and its effect."""

import keyword
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml

from platform_lib.settings import find_project
from tests.conftest import REPOSITORY

OUTSIDE = "the folder must be outside the repository: start with ../, ~/, / or a drive letter."
SIGNS = "use a folder without quotes, commas, # or spaces at the ends."
S3 = "an S3 address has the form s3://bucket/folder, without spaces, quotes, commas or #."
TAKEN = "a name that Python, a package or a folder of the project already uses: add a word, such as {}-model."
FORM = "use 1-40 lowercase letters, digits and single dashes, starting with a letter and not ending with a dash, such as churn-model."
OWNER = "use a GitHub name of 1-39 letters, digits and single dashes, such as my-team, or leave it empty."
STACK = "use 1-40 lowercase letters, digits and single dashes, starting with a letter and not ending with a dash, such as production."

REFUSED = [
    ("project_name", "Churn", f"project_name is 'Churn': {FORM}"),
    ("project_name", "9lives", f"project_name is '9lives': {FORM}"),
    ("project_name", "churn-", f"project_name is 'churn-': {FORM}"),
    ("project_name", "churn--model", f"project_name is 'churn--model': {FORM}"),
    ("project_name", "churn_model", f"project_name is 'churn_model': {FORM}"),
    ("project_name", "x" * 41, f"project_name is '{'x' * 41}': {FORM}"),
    ("project_name", "", f"project_name is '': {FORM}"),
    *(
        ("project_name", name, f"project_name is '{name}', {TAKEN.format(name)}")
        for name in ("class", "test", "src", "numpy", "platform-lib", "concurrent", "py-compile", "con")
    ),
    ("description", " ", "description is empty: say in one sentence what the model is for."),
    ("description", "bell\a", "description contains a control character: use printable characters only."),
    ("description", "x" * 301, "description has 301 characters: use at most 300; the README has room for more."),
    (
        "dvc_remote",
        "gs://bucket/x",
        "dvc_remote is 'gs://bucket/x': give a folder such as ../my-model-dvc-storage, or s3://bucket/folder. "
        "Other stores need a DVC plugin: choose a folder now and edit .dvc/config later.",
    ),
    ("dvc_remote", "s3://B", f"dvc_remote is 's3://B': {S3}"),
    ("dvc_remote", "s3://bucket/a b", f"dvc_remote is 's3://bucket/a b': {S3}"),
    ("dvc_remote", "data/storage", f"dvc_remote is 'data/storage': {OUTSIDE}"),
    ("dvc_remote", "", f"dvc_remote is '': {OUTSIDE}"),
    ("dvc_remote", "../a,b", f"dvc_remote is '../a,b': {SIGNS}"),
    ("platform_stack", "Production", f"platform_stack is 'Production': {STACK}"),
    ("platform_stack", "team/production", f"platform_stack is 'team/production': {STACK}"),
    ("platform_stack", "x" * 41, f"platform_stack is '{'x' * 41}': {STACK}"),
    ("platform_stack", "", f"platform_stack is '': {STACK}"),
    ("repository_owner", "my--team", f"repository_owner is 'my--team': {OWNER}"),
    ("repository_owner", "-team", f"repository_owner is '-team': {OWNER}"),
    ("repository_owner", "x" * 40, f"repository_owner is '{'x' * 40}': {OWNER}"),
]


@pytest.mark.parametrize(
    ("key", "value", "sentence"), REFUSED, ids=[f"{key}-{value[:16]!r}" for key, value, _ in REFUSED]
)
def test_an_invalid_answer_is_refused_in_a_whole_sentence(
    render: Callable[..., Path], tmp_path: Path, key: str, value: str, sentence: str
) -> None:
    with pytest.raises(ValueError) as caught:
        # The stack is asked for only if there is a deployment.
        render(
            tmp_path / "project", **({"deploy_target": "kubernetes"} if key == "platform_stack" else {}), **{key: value}
        )
    assert str(caught.value) == f"Validation error for question '{key}': {sentence}"
    assert not (tmp_path / "project").exists()


def test_iris_with_regression_is_refused(render: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match="data_source is 'iris', which is for classification, but task is 'regression': choose sample or own, or set",
    ):
        render(tmp_path / "project", data_source="iris", task="regression")


@pytest.mark.parametrize("key", ["task", "data_source", "package_manager", "ci", "deploy_target"])
def test_an_unknown_choice_is_refused(render: Callable[..., Path], tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match=key):
        render(tmp_path / "project", **{key: "neither"})


def test_there_are_at_most_ten_questions_and_each_has_help_and_a_default(questions: dict[str, Any]) -> None:
    assert len(questions) <= 10
    assert [name for name, entry in questions.items() if "default" not in entry or not entry.get("help")] == []


def test_modules_of_python_keywords_and_dependencies_are_reserved() -> None:
    reserved = yaml.safe_load((REPOSITORY / "copier.yml").read_text(encoding="utf-8"))["reserved_names"][
        "default"
    ].split()
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [*extras["dependencies"], *extras["optional-dependencies"]["training"]]
    names = {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requirements}
    names |= {
        name for name in (*sys.stdlib_module_names, *keyword.kwlist) if re.fullmatch("[a-z][a-z0-9_]*[a-z0-9]", name)
    }
    names |= {"src", "tests", "conf", "data", "notebooks", "platform-lib"}
    assert sorted(name for name in names if name.replace("_", "-") not in reserved and "__" not in name) == []


HARD = {
    "quotes": 'Says "yes", \'no\' and """',
    "backslashes": r"C:\new\table, \u0041 and a trailing \\",
    "line breaks": "Two\nlines\r\nand a\ttab",
    "braces": "Holds {{ project_name }}, {% raw %} and {#",
    "letters": "Prédit le désabonnement: 客户流失 🐧",
    "markup": "<!-- hidden --> & <b>bold</b> # - |",
    "yaml": "- key: [value] # comment",
}


@pytest.mark.parametrize("text", HARD.values(), ids=HARD)
def test_every_description_renders_valid_files(render: Callable[..., Path], tmp_path: Path, text: str) -> None:
    folder = render(tmp_path / "project", description=text)
    line = " ".join(text.split())
    assert tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["description"] == line
    assert (
        yaml.safe_load((folder / ".copier-answers.yml").read_text(encoding="utf-8"))["description"].split()
        == text.split()
    )
    assert (folder / "README.md").read_text(encoding="utf-8").splitlines()[2] == line.replace("&", "&amp;").replace(
        "<", "&lt;"
    )


@pytest.mark.parametrize(
    ("answer", "url"),
    [
        ("../store", "../../store"),
        ("..\\store", "../../store"),
        ("/mnt/my store", "/mnt/my store"),
        ("~/store", "~/store"),
        ("C:\\store", "C:\\store"),
        ("s3://bucket", "s3://bucket"),
        ("s3://my.bucket-1/folder/x", "s3://my.bucket-1/folder/x"),
    ],
)
def test_the_storage_answer_becomes_the_dvc_remote(
    render: Callable[..., Path], tmp_path: Path, answer: str, url: str
) -> None:
    folder = render(tmp_path / "project", dvc_remote=answer)
    from dvc.config import Config

    config = Config.load_file(folder / ".dvc" / "config")
    assert (config["core"], config["remote"]) == (
        {"analytics": "false", "remote": "storage"},
        {"storage": {"url": url}},
    )


def test_the_default_storage_is_next_to_the_project(render: Callable[..., Path], tmp_path: Path) -> None:
    folder = render(tmp_path / "churn", project_name="churn-model")
    assert "url = ../../churn-model-dvc-storage\n" in (folder / ".dvc" / "config").read_text(encoding="utf-8")


def test_the_owner_is_part_of_the_repositorys_address(render: Callable[..., Path], tmp_path: Path) -> None:
    folder = render(tmp_path / "project", repository_owner="My-Team", project_name="churn-model")
    urls = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    assert urls == {"Repository": "https://github.com/My-Team/churn-model"}


def test_name_and_task_reach_the_library(render: Callable[..., Path], tmp_path: Path) -> None:
    project = find_project(render(tmp_path / "project", project_name="house-price", task="regression"))
    assert (project.name, project.package, project.task) == ("house-price", "house_price", "regression")


@pytest.mark.parametrize("missing", ["uv", "pdm"])
def test_the_makefile_names_only_the_chosen_package_manager(
    render: Callable[..., Path], tmp_path: Path, missing: str
) -> None:
    chosen = {"uv": "pdm", "pdm": "uv"}[missing]
    makefile = (render(tmp_path / "project", package_manager=chosen) / "Makefile").read_text(encoding="utf-8")
    assert f"TOOL := {chosen}\n" in makefile
    assert f"{missing} " not in makefile


def test_a_misspelt_template_variable_is_an_error(template_source: Path, tmp_path: Path) -> None:
    import shutil

    source = Path(shutil.copytree(template_source, tmp_path / "source"))
    (source / "template" / "new.txt.jinja").write_text("{{ projekt_name }}", encoding="utf-8")
    with pytest.raises(Exception, match="'projekt_name' is undefined"):
        copier.run_copy(str(source), tmp_path / "project", defaults=True, quiet=True)
