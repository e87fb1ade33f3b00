"""The contract's names stand in docs/reference.md, and nothing else does."""

import re
from dataclasses import fields

import pytest

from platform_lib.names import Alias, ArtifactFile, ExitCode, Header, MetricName, Port, SharedOutputs, VersionTag
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
def test_the_reference_lists_the_names_of_the_contract(title: str, names: type) -> None:
    assert first_cells(title) == constants(names)


def test_the_reference_lists_the_outputs_of_a_platform() -> None:
    assert first_cells("Platform outputs") == [field.name for field in fields(SharedOutputs)]


def test_the_reference_lists_the_ports() -> None:
    assert first_cells("Ports") == [str(port) for port in constants(Port)]


def test_the_reference_lists_the_metrics_that_dashboards_and_alerts_ask_for() -> None:
    assert set(constants(MetricName)) <= set(first_cells("Metrics"))


def test_the_reference_names_the_headers() -> None:
    assert set(constants(Header)) <= set(re.findall(r"header `([^`]+)`", section("Aliases")))


def test_the_reference_lists_the_exit_codes() -> None:
    assert first_cells("Exit codes") == [str(code.value) for code in ExitCode]


def test_the_reference_names_the_artifact_files() -> None:
    assert re.findall(r"`([^`]+)`", section("Files in a model artifact")) == constants(ArtifactFile)
