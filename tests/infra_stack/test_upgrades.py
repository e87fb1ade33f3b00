"""`pulumi up` from the last accepted state may add and change resources but loses nothing."""

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.infra.harness.graph import Graph, Resource
from tests.infra.harness.plan import plan
from tests.infra.stacks import EXAMPLES, SECRETS, run_stack
from tests.infra_stack.accepted import is_stateful, kept, read

# URNs that a release drops on purpose, each with the sentence of the CHANGELOG's upgrade notes that says so.
DROPPED: Mapping[str, str] = {}


def harm(old: Mapping[str, Any], new: Graph) -> dict[str, str]:
    """Steps that lose data or access.

    That is whatever disappears without an alias, and whatever stores data and is replaced or loses its protection.
    """
    steps = plan({urn: dict(entry) for urn, entry in old.items()}, _comparable(new))
    stateful = {resource.urn for resource in new.resources if is_stateful(resource)}
    lost = {urn: step for urn, step in steps.items() if step == "delete" or (step == "replace" and urn in stateful)}
    bare = {
        r.urn: "unprotected" for r in new.resources if old.get(r.urn, {}).get("protect") and not r.opts.get("protect")
    }
    return {urn: step for urn, step in (lost | bare).items() if urn not in DROPPED}


def _comparable(graph: Graph) -> Graph:
    """Inputs of a resource that stores data, in the form in which they are compared."""
    made, entries = copy.deepcopy(graph), kept(graph)
    for resource in made.resources:
        resource.inputs = entries[resource.urn].get("inputs", resource.inputs)
    return made


@pytest.fixture(scope="module")
def graphs() -> dict[str, Graph]:
    return {name: run_stack(name) for name in EXAMPLES}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_upgrade_from_the_last_accepted_state_loses_nothing(graphs: dict[str, Graph], name: str) -> None:
    assert harm(read(name), graphs[name]) == {}


def test_every_resource_that_stores_data_is_in_the_accepted_graph(graphs: dict[str, Graph]) -> None:
    assert {r.urn for r in graphs["local"].resources if is_stateful(r)} <= set(read("local")), (
        "run python -m tests.infra_stack.accepted"
    )


def rename(child: Resource) -> str:
    """Rename a resource and return its old URN."""
    was = child.urn
    child.name, child.urn = f"{child.name}-renamed", f"{was}-renamed"
    return was


@pytest.mark.parametrize("kind", ["Deployment", "PersistentVolumeClaim", "Namespace", "NetworkPolicy"])
def test_a_renamed_child_is_reported_as_harm(graphs: dict[str, Graph], kind: str) -> None:
    renamed = copy.deepcopy(graphs["local"])
    child = renamed.kubernetes(kind)[0]
    was = rename(child)
    assert was in harm(kept(graphs["local"]), renamed)


def test_a_renamed_child_with_an_alias_is_accepted(graphs: dict[str, Graph]) -> None:
    renamed = copy.deepcopy(graphs["local"])
    child = renamed.kubernetes("PersistentVolumeClaim")[0]
    child.opts["aliases"] = [rename(child)]
    assert harm(kept(graphs["local"]), renamed) == {}


def test_a_replaced_volume_and_a_removed_protection_are_reported_as_harm(graphs: dict[str, Graph]) -> None:
    changed = copy.deepcopy(graphs["local"])
    claim = changed.kubernetes("PersistentVolumeClaim")[0]
    claim.inputs["metadata"]["name"] = "another"
    assert harm(kept(graphs["local"]), changed) == {claim.urn: "replace"}
    bare = copy.deepcopy(graphs["local"])
    bare.kubernetes("PersistentVolumeClaim")[0].opts["protect"] = False
    assert harm(kept(graphs["local"]), bare) == {claim.urn: "unprotected"}


def test_the_accepted_graphs_contain_no_secret() -> None:
    kept_text = json.dumps([read(name) for name in EXAMPLES])
    given = [value for secrets in SECRETS.values() for value in secrets.values()]
    texts = [text for value in given for text in (value if isinstance(value, list) else [value])]
    assert [secret for secret in texts if secret in kept_text] == []
