"""`deploy/` of a generated project exists if requested and declares the settings the program reads."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from platform_lib.infra.model.alerts import AlertThresholds
from platform_lib.infra.model.endpoint_args import ModelEndpointArgs
from platform_lib.infra.model.stack import ALERT_SETTINGS, ENDPOINT_SETTINGS, SETTINGS


@pytest.fixture(scope="module")
def folder(render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("deployed")
    return (
        render(base / "project", deploy_target="kubernetes", project_name="churn-model", repository_owner="Red-Team")
        / "deploy"
    )


def settings(folder: Path) -> dict[str, Any]:
    schema: dict[str, Any] = yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    return schema


def test_a_deployment_is_generated_only_if_requested(render: Callable[..., Path], tmp_path: Path, folder: Path) -> None:
    assert not (render(tmp_path / "project") / "deploy").exists()
    assert sorted(path.name for path in folder.iterdir()) == ["Pulumi.production.yaml", "Pulumi.yaml", "__main__.py"]


def test_the_stack_has_the_given_name(render: Callable[..., Path], tmp_path: Path) -> None:
    made = render(tmp_path / "project", deploy_target="kubernetes", platform_stack="staging-eu")
    assert (made / "deploy" / "Pulumi.staging-eu.yaml").is_file()


def test_every_setting_has_a_type_and_a_description_and_is_read_by_the_program(folder: Path) -> None:
    assert settings(folder).keys() == SETTINGS.keys()
    assert [
        name
        for name, entry in settings(folder).items()
        if entry.keys() - {"default", "items"} != {"type", "description"}
    ] == []
    assert [name for name, entry in settings(folder).items() if "default" not in entry] == ["namespace"]


def as_text(value: Any) -> str:
    """Render a default as text: numbers too, where Pulumi has no type for them; a disabled setting is empty."""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def test_defaults_equal_those_of_the_library(folder: Path) -> None:
    written = {name: as_text(entry.get("default")) for name, entry in settings(folder).items()}
    for arguments, names, prefix in (
        (ModelEndpointArgs, ENDPOINT_SETTINGS, ""),
        (AlertThresholds, ALERT_SETTINGS, "alert_"),
    ):
        defaults = {f"{prefix}{field.name}": as_text(field.default) for field in dataclasses.fields(arguments)}
        assert {name: written[name] for name in names if name != "exposure"} == {
            name: defaults[name] for name in names if name != "exposure"
        }
    assert written["exposure"] == "public"  # the component is closed by default, and the template opens it


def test_the_initial_settings_are_declared_by_the_project(folder: Path) -> None:
    written = yaml.safe_load((folder / "Pulumi.production.yaml").read_text(encoding="utf-8"))["config"]
    assert written["churn-model:namespace"] == "team-red-team"
    assert {name.removeprefix("churn-model:") for name in written} <= SETTINGS.keys()
