"""Shared names are defined once and documented: docs/reference.md, environment variables."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from platform_lib.names import Alias, ArtifactFile, Env, ExitCode, Header, MetricName, Port, SharedOutputs, VersionTag
from tests.conftest import REPOSITORY


def section(title: str) -> str:
    text = (REPOSITORY / "docs" / "reference.md").read_text(encoding="utf-8")
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def first_cells(title: str) -> list[str]:
    return [
        cell.strip("` ")
        for cell in re.findall(r"^\| ([^|]+) \|", section(title), flags=re.MULTILINE)[1:]
        if not cell.startswith("-")
    ]


def constants(names: type) -> list[object]:
    return [value for name, value in vars(names).items() if name.isupper()]


@pytest.mark.parametrize(("title", "names"), [("Aliases", Alias), ("Version tags", VersionTag)])
def test_the_reference_lists_the_shared_names(title: str, names: type) -> None:
    assert first_cells(title) == constants(names)


def test_the_reference_lists_the_outputs_of_a_platform() -> None:
    assert first_cells("Platform outputs") == [field.name for field in fields(SharedOutputs)]


def test_the_reference_lists_the_ports() -> None:
    assert first_cells("Ports") == [str(port) for port in constants(Port)]


def test_the_reference_lists_the_metrics_of_dashboards_and_alerts() -> None:
    assert set(constants(MetricName)) <= set(first_cells("Metrics"))


def test_the_reference_names_the_headers() -> None:
    assert set(constants(Header)) <= set(re.findall(r"header `([^`]+)`", section("Aliases")))


def test_the_reference_lists_the_exit_codes() -> None:
    assert first_cells("Exit codes") == [str(code.value) for code in ExitCode]


def test_the_reference_names_the_artifact_files() -> None:
    assert re.findall(r"`([^`]+)`", section("Files in a model artifact")) == constants(ArtifactFile)


IN_IMAGE = "in_image"
"""Modules that run inside official images and import nothing of the library: they repeat the names that they read."""
NOT_OF_THE_PLATFORM = {"MLP_DATA_IN_CI", "MLP_TRAIN_IN_CI", "MLP_DEPLOY_IN_CI", "MLP_FACTS", "MLP_CHARTS"}
"""Variables of a project's CI, and of these tests."""


def sources(*tops: str) -> list[Path]:
    return [file for top in tops for file in sorted((REPOSITORY / top).rglob("*.py"))]


def spelled_out(source: str) -> list[str]:
    """Names of environment variables that a module writes as a string instead of taking them from `Env`."""
    strings = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    return [value for value in strings if isinstance(value, str) and re.fullmatch(r"MLP_[A-Z0-9_]*", value)]


def test_a_spelled_out_variable_is_detected() -> None:
    assert spelled_out('import os\nos.environ.get("MLP_KEYS")\nname = "MLP_" + "X"') == ["MLP_KEYS", "MLP_"]


@pytest.mark.parametrize(
    "file", sources("platform_lib", "infra_stack"), ids=lambda file: file.relative_to(REPOSITORY).as_posix()
)
def test_environment_variables_are_spelled_out_only_in_names(file: Path) -> None:
    if file.name != "names.py" and IN_IMAGE not in file.parts:
        assert spelled_out(file.read_text(encoding="utf-8")) == []


def test_every_variable_mentioned_in_code_docs_or_template_exists() -> None:
    pages = [*sources("platform_lib", "infra_stack", "benchmarks", "scripts"), *(REPOSITORY / "docs").rglob("*.md")]
    pages += [REPOSITORY / "README.md", *(file for file in (REPOSITORY / "template").rglob("*") if file.is_file())]
    named = {
        name: page
        for page in pages
        for name in re.findall(r"MLP_[A-Z0-9_]*[A-Z0-9]", page.read_text("utf-8", "replace"))
    }
    assert {name: page for name, page in named.items() if name not in {*constants(Env), *NOT_OF_THE_PLATFORM}} == {}


def test_each_server_option_is_named_like_its_variable() -> None:
    from platform_lib.cli.serving.serve import command

    variables = {parameter.name: parameter.envvar for parameter in command.params if parameter.envvar}
    assert variables == {name: f"MLP_{name.upper()}" for name in variables if name}
    assert len(variables) > 10


def test_the_reference_lists_the_environment_variables() -> None:
    documented = {cell for cell in first_cells("Environment variables") if cell.startswith("MLP_")}
    assert documented == {*constants(Env), "MLP_DATA_IN_CI"}


@pytest.mark.parametrize("family", ["mlflow", "prefect"])
def test_programs_in_official_images_read_exactly_the_variables_that_the_stack_sets(family: str) -> None:
    folder = REPOSITORY / "platform_lib" / "infra" / family
    read = {name for file in (folder / IN_IMAGE).glob("*.py") for name in spelled_out(file.read_text("utf-8"))}
    code = " ".join(file.read_text("utf-8") for file in folder.glob("*.py"))
    assert read == {f"MLP_{name}" for name in re.findall(r"\bEnv\.([A-Z_]+)", code)} != set()
