"""Apply a resource graph to a real API server like `pulumi up` and `pulumi destroy`, without Pulumi's CLI.

Objects are applied in an order that only the declared dependencies guarantee: of the objects that could be next, the
one declared LAST goes first, so that an accidental order fails. An object waits until its dependencies are ready.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.infra.harness.graph import Graph, Resource
from tests.infra.harness.objects import Objects, Reference
from tests.infra.harness.readiness import Failed, is_ready
from tests.infra.harness.releases import Releases
from tests.k8slab.lab import Lab

RELEASE = "kubernetes:helm.sh/v3:Release"
READY_TIMEOUT_S = 60.0


class ApplyError(RuntimeError):
    """What `pulumi up` would end with: the resource, and why."""


@dataclass
class Deployed:
    """One resource of the stack's state."""

    resource: Resource
    inputs: dict[str, Any]
    reference: Reference | None  # None: a Helm release


@dataclass
class Change:
    """What an `up` did, by URN."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)

    @property
    def names(self) -> dict[str, list[str]]:
        """The same with the last part of each URN."""
        found = {"created": self.created, "updated": self.updated, "deleted": self.deleted}
        return {key: sorted(urn.rpartition("::")[2] for urn in urns) for key, urns in found.items() if urns}


def dependencies(resource: Resource, resources: Mapping[str, Resource]) -> set[str]:
    """URNs that must be ready first: dependencies, sources of inputs, and a parent that is a real resource.

    A component that depends on something holds its children back too: they need its URN, which it has only then.
    """
    found = {*resource.opts.get("depends_on", []), *(urn for urns in resource.property_deps.values() for urn in urns)}
    found.add((resource.opts.get("provider") or "").rpartition("::")[0])
    parent = resources.get(resource.parent)
    if parent is not None:
        found |= {parent.urn} if parent.custom else dependencies(parent, resources)
    return {urn for urn in found if urn in resources and urn != resource.urn and resources[urn].custom}


def ordered(resources: Iterable[Resource]) -> list[Resource]:
    """A valid order that is as unlike the program's own as the declared dependencies allow."""
    whole = {resource.urn: resource for resource in resources}
    by_urn = {urn: resource for urn, resource in whole.items() if resource.custom}
    needs = {urn: dependencies(resource, whole) for urn, resource in by_urn.items()}
    rank = {urn: number for number, urn in enumerate(by_urn)}
    done: list[Resource] = []
    while needs:
        free = [urn for urn, needed in needs.items() if not needed]
        assert free, f"a circle of dependencies among {sorted(needs)}"
        urn = max(free, key=rank.__getitem__)
        del needs[urn]
        for needed in needs.values():
            needed.discard(urn)
        done.append(by_urn[urn])
    return done


class Stack:
    """One deployed program."""

    def __init__(self, lab: Lab, home: Path, *, as_user: str | None = None) -> None:
        """
        Args:
            lab: Running.
            home: A folder for helm's caches.
            as_user: With whose rights objects (not charts) are applied; the admin's by default.
        """
        self.objects = Objects(lab, as_user=as_user)
        self.releases = Releases(lab, home)
        self.state: dict[str, Deployed] = {}
        self.components: dict[str, Resource] = {}

    def up(self, graph: Graph, *, lift_protection: bool = False) -> Change:
        """Make the cluster what the graph says; deletes what the graph no longer has, at the end and in reverse.

        Args:
            graph: What the program asks for now.
            lift_protection: As after `pulumi state unprotect` of everything that goes.
        Raises:
            ApplyError: A resource was rejected or did not become ready. Earlier ones stay, as in Pulumi.
        """
        change = Change()
        self.components |= {resource.urn: resource for resource in graph.resources if not resource.custom}
        whole = {resource.urn: resource for resource in graph.resources}
        resources = {urn: resource for urn, resource in whole.items() if resource.custom}
        stale: list[Deployed] = []
        needs = {urn: dependencies(resource, whole) for urn, resource in resources.items()}
        waiting: dict[str, Reference] = {}
        while needs:
            free = [urn for urn, needed in needs.items() if not needed & (needs.keys() | waiting.keys())]
            if not free:  # like Pulumi, which goes on with whatever it can while it waits for the rest
                assert waiting, f"a circle of dependencies among {sorted(needs)}"
                self._await_one(waiting)
                continue
            urn = free[-1]
            del needs[urn]
            try:
                self._put(resources[urn], self.state.get(urn), change, stale)
            except (RuntimeError, AssertionError) as error:
                raise ApplyError(f"{urn}: {error}") from error
            now = self.state.get(urn)
            if now is not None and now.reference is not None:
                waiting[urn] = now.reference
        while waiting:
            self._await_one(waiting)
        gone = [self.state[urn] for urn in self.state if urn not in resources]
        change.deleted += self._remove([*gone, *stale], lift_protection=lift_protection)
        for deployed in gone:
            del self.state[deployed.resource.urn]
        return change

    def destroy(self, *, lift_protection: bool = False) -> list[str]:
        """Delete everything, dependents first; returns the URNs.

        Raises:
            ApplyError: Something is protected and `lift_protection` (`pulumi state unprotect`) was not asked for.
        """
        removed = self._remove(list(self.state.values()), lift_protection=lift_protection)
        self.state.clear()
        return removed

    def _put(self, resource: Resource, was: Deployed | None, change: Change, stale: list[Deployed]) -> None:
        inputs = _kept(resource, was)
        if resource.type == RELEASE:
            if was is None or was.inputs != inputs:
                self.releases.upgrade(inputs)
                (change.updated if was else change.created).append(resource.urn)
            self.state[resource.urn] = Deployed(resource, inputs, None)
            return
        if not (inputs.get("apiVersion") and inputs.get("kind")):
            if resource.read and resource.type.startswith("kubernetes:") and resource.id:
                self._must_exist(resource)
            return
        body = inputs | {"metadata": {**(inputs.get("metadata") or {}), "name": _name(resource, inputs)}}
        reference = self.objects.reference(body)
        if was is None or was.reference != reference:
            if self.objects.get(reference) is not None:
                raise ApplyError(f"{reference} exists already and is not this stack's")
            if was is not None:
                stale.append(was)
        before = self.objects.get(reference)
        self.objects.apply(body)
        after = self.objects.get(reference)
        self.state[resource.urn] = Deployed(resource, inputs, reference)
        if before is None:
            change.created.append(resource.urn)
        elif after is not None and _settled(before) != _settled(after):
            change.updated.append(resource.urn)

    def _must_exist(self, resource: Resource) -> None:
        kind, api = resource.type.rpartition(":")[2], resource.type.split(":")[1]
        namespace, _, name = str(resource.id).rpartition("/")
        reference = Reference(api.removeprefix("core/"), kind, namespace, name)
        if self.objects.get(reference) is None:
            raise ApplyError(f"reads {reference}, which does not exist")

    def _await_one(self, waiting: dict[str, Reference]) -> None:
        """Wait until something is ready, and take it out; what fails shows before what only waits for it."""

        def one_is_ready() -> bool:
            ready = []
            for urn, reference in waiting.items():
                try:
                    if is_ready(self.objects, reference):
                        ready.append(urn)
                except Failed as error:
                    raise ApplyError(f"{urn}: {error}") from error
            for urn in ready:
                del waiting[urn]
            return bool(ready)

        try:
            wait_until(one_is_ready, "not ready")
        except Failed as error:
            raise ApplyError(
                f"{', '.join(f'{urn}: {reference}' for urn, reference in waiting.items())}: {error}"
            ) from error

    def _remove(self, gone: list[Deployed], *, lift_protection: bool) -> list[str]:
        protected = [deployed.resource.urn for deployed in gone if deployed.resource.opts.get("protect")]
        if protected and not lift_protection:
            raise ApplyError(f"protected, `pulumi state unprotect` lifts it: {protected}")
        by_urn = {deployed.resource.urn: deployed.resource for deployed in gone}
        whole = self.components | by_urn
        leaving: dict[str, Reference] = {}
        removed = []
        for resource in reversed(ordered(whole.values())):
            deployed = next(item for item in gone if item.resource.urn == resource.urn)
            dependents = [urn for urn, other in by_urn.items() if resource.urn in dependencies(other, whole)]
            for urn in dependents:
                self._await_gone(leaving.pop(urn, None))
            if resource.opts.get("retain_on_delete") or resource.read:
                continue
            if deployed.reference is None:
                self.releases.uninstall(deployed.inputs)
            else:
                self.objects.delete(deployed.reference)
                leaving[resource.urn] = deployed.reference
            removed.append(resource.urn)
        for reference in leaving.values():
            self._await_gone(reference)
        return removed

    def _await_gone(self, reference: Reference | None) -> None:
        if reference is not None:
            wait_until(lambda: self.objects.get(reference) is None, f"{reference} is still there")


def wait_until(condition: Callable[[], bool], complaint: str, timeout_s: float = READY_TIMEOUT_S) -> None:
    """Wait for a condition.

    Raises:
        Failed: With the complaint, when the time is over.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"{complaint} after {timeout_s:g} s")
        time.sleep(0.1)


def _name(resource: Resource, inputs: dict[str, Any]) -> str:
    """The object's name: given, or the automatic one that the harness' provider made up."""
    given = (inputs.get("metadata") or {}).get("name") or (resource.outputs.get("metadata") or {}).get("name")
    assert given, f"{resource.urn} has no name"
    return str(given)


def _kept(resource: Resource, was: Deployed | None) -> dict[str, Any]:
    """The inputs, with those that `ignore_changes` names as they were first."""
    inputs = resource.inputs
    for path in resource.opts.get("ignore_changes", []) if was is not None else []:
        assert was is not None
        inputs = _replaced(inputs, was.inputs, path.split("."))
    return inputs


def _replaced(new: Any, old: Any, path: list[str]) -> Any:
    if not isinstance(new, dict) or not isinstance(old, dict) or path[0] not in old:
        return new
    return new | {path[0]: old[path[0]] if len(path) == 1 else _replaced(new.get(path[0], {}), old[path[0]], path[1:])}


def _settled(live: dict[str, Any]) -> str:
    """What an update changes: the generation if the kind has one, else the resource version."""
    meta = live["metadata"]
    own = {key: value for key, value in live.items() if key not in ("metadata", "status")}
    return repr(
        (own, meta.get("labels"), meta.get("annotations") if "generation" not in meta else None, meta.get("generation"))
    )
