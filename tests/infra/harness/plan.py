"""Steps of `pulumi up` from a deployed graph to another one, with aliases, as a pure function."""

from typing import Any

from tests.infra.harness.graph import Graph, Resource
from tests.infra.harness.outputs import changes, replaces

Kept = dict[
    str, dict[str, Any]
]  # URN → {"type", "custom", "inputs"}: a deployed state, or a kept graph; one without inputs is never changed


def deployed(graph: Graph) -> Kept:
    return {
        r.urn: {"type": r.type, "custom": r.custom, "inputs": r.inputs, "protect": r.opts.get("protect")}
        for r in graph.resources
        if not r.read
    }


def plan(old: Graph | Kept, new: Graph) -> dict[str, str]:
    """URN → "create", "delete", "update" or "replace"; what stays the same is left out."""
    before = dict(deployed(old) if isinstance(old, Graph) else old)
    steps = {}
    for resource in (r for r in new.resources if not r.read):
        was = next((urn for urn in [resource.urn, *_alias_urns(resource, new)] if urn in before), None)
        if was is None:
            steps[resource.urn] = "create"
            continue
        found = [path for _, path in changes(before.pop(was).get("inputs", resource.inputs), resource.inputs)]
        if found and resource.custom:
            steps[resource.urn] = "replace" if any(replaces(resource.type, path) for path in found) else "update"
    return steps | dict.fromkeys(before, "delete")


def _alias_urns(resource: Resource, graph: Graph) -> list[str]:
    """Old URNs of a resource: its own aliases, and those inherited from parents whose name prefixes its own."""
    head = "::".join(resource.urn.split("::")[:2])
    parent = next((other for other in graph.resources if other.urn == resource.parent), None)
    parents = [(resource.parent, resource.name)]
    for urn in _alias_urns(parent, graph) if parent else []:
        renamed = parent is not None and resource.name.startswith(parent.name)
        parents.append(
            (urn, urn.split("::", 3)[3] + resource.name[len(parent.name) :] if renamed and parent else resource.name)
        )
    urns = [alias for alias in resource.opts.get("aliases", []) if isinstance(alias, str)]
    for spec in [{}, *(alias for alias in resource.opts.get("aliases", []) if isinstance(alias, dict))]:
        places = (
            [("", resource.name)]
            if spec.get("no_parent")
            else [(spec["parent"], resource.name)]
            if spec.get("parent")
            else parents
        )
        for place, name in places:
            parent_type = place.split("::")[2] if place else ""
            prefix = "" if parent_type in ("", "pulumi:pulumi:Stack") else f"{parent_type}$"
            urns.append(f"{head}::{prefix}{spec.get('type') or resource.type}::{spec.get('name') or name}")
    return urns
