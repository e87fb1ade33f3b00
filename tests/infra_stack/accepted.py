"""The resource graphs of the last accepted state of the shared stack.

`python -m tests.infra_stack.accepted` writes them. A stored graph contains every URN, and the inputs of resources that
store data: enough to tell whether an upgrade would lose any.
"""

import json
from typing import Any

from tests.conftest import REPOSITORY
from tests.infra.harness.graph import Graph, Resource
from tests.infra.stacks import EXAMPLES, run_stack

FOLDER = REPOSITORY / "tests" / "infra_stack" / "accepted_graphs"
STATEFUL_KINDS = ("Namespace", "PersistentVolumeClaim", "Cluster")
STATEFUL_TYPES = (
    "pulumi:providers:kubernetes",
    "random:index/randomPassword:RandomPassword",
    "kubernetes:helm.sh/v3:Release",
)
# A new provider replaces every object, a new password locks clients out, and a new release starts with empty volumes.


def is_stateful(resource: Resource) -> bool:
    """Whether a replacement would lose data or access."""
    return resource.type in STATEFUL_TYPES or resource.inputs.get("kind") in STATEFUL_KINDS


def kept(graph: Graph) -> dict[str, dict[str, Any]]:
    """URN → the part of a resource that is stored."""
    made = {}
    for resource in sorted(graph.resources, key=lambda r: r.urn):
        entry: dict[str, Any] = {"type": resource.type, "custom": resource.custom}
        if is_stateful(resource):
            # Chart values are large and change with every release; a release is replaced only if its name or namespace
            # changes.
            inputs = {
                key: value
                for key, value in resource.inputs.items()
                if key not in ("values", "version", "chart", "repositoryOpts")
            }
            entry |= {
                "inputs": json.loads(json.dumps(inputs, sort_keys=True, default=repr)),
                "protect": bool(resource.opts.get("protect")),
            }
        made[resource.urn] = entry
    return made


def read(name: str) -> dict[str, dict[str, Any]]:
    """Read the accepted graph of an example stack."""
    made: dict[str, dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return made


def main() -> None:
    """Write the graphs of all example stacks."""
    FOLDER.mkdir(exist_ok=True)
    for name in EXAMPLES:
        (FOLDER / f"{name}.json").write_text(json.dumps(kept(run_stack(name)), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
