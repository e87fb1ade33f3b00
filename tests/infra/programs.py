"""Resource graph of a generated `deploy/`; `stacks` has the graph of the shared stack."""

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from platform_lib.names import OUTPUTS_CONFIG_MAP
from tests.infra.harness.graph import Call, Graph, run_program


def settings(folder: Path, stack: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What `pulumi up` gives the program: defaults of Pulumi.yaml, then Pulumi.<stack>.yaml, then the changes."""
    project = yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8"))
    name = project["name"]
    defaults = {key if ":" in key else f"{name}:{key}": entry for key, entry in project.get("config", {}).items()}
    found = {
        key: entry["default"] for key, entry in defaults.items() if isinstance(entry, Mapping) and "default" in entry
    }
    written = yaml.safe_load((folder / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")).get("config") or {}
    return {**found, **written, **{f"{name}:{key}": value for key, value in changes.items()}}


def program(folder: Path) -> Callable[[], None]:
    """The folder's `__main__.py`."""

    def main() -> None:
        runpy.run_path(str(folder / "__main__.py"), run_name="__main__")

    return main


def model_graph(folder: Path, stack: str, outputs: Mapping[str, str], **changes: Any) -> Graph:
    """A generated `deploy/` on a platform that published these outputs."""
    project = yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]

    def published(call: Call) -> dict[str, Any]:
        return {"data": dict(outputs)} if call.name == OUTPUTS_CONFIG_MAP else {}

    return run_program(
        program(folder),
        config=settings(folder, stack, changes),
        project=project,
        stack=stack,
        fakes={"kubernetes:core/v1:ConfigMap": published},
    )
