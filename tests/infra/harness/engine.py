"""A small stateful engine: preview, up, refresh and destroy of a program on the simulated cloud, as in Pulumi.

It shows what a stack's life looks like where no Pulumi CLI is; `test_pulumi_cli.py` shows the same with the real one.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pulumi.runtime.proto import resource_pb2

from tests.infra.harness.graph import execute
from tests.infra.harness.monitor import Engine as LogEngine
from tests.infra.harness.monitor import Monitor, urn_of
from tests.infra.harness.simulator import Cloud, name_of
from tests.infra.harness.wire import decode, encode_struct

Steps = dict[str, str]  # URN → "create" | "update" | "replace" | "delete"; what stays the same is left out


class EngineError(Exception):
    """What a command ends with."""


@dataclass
class Kept:
    """One resource of the state."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]
    object_id: str
    custom: bool
    protect: bool


@dataclass
class StackState:
    """A stack: what it has made, and the last outputs."""

    cloud: Cloud
    project: str
    stack: str = "dev"
    others: dict[str, "StackState"] = field(default_factory=dict)
    """Stacks that it may refer to, by "organization/project/stack"."""
    resources: dict[str, Kept] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)

    def preview(
        self, program: Callable[[], Any], config: Mapping[str, Any], secret_config: Sequence[str] = ()
    ) -> Steps:
        """What `up` would do; nothing is changed."""
        return self._run(program, config, secret_config, preview=True)

    def up(self, program: Callable[[], Any], config: Mapping[str, Any], secret_config: Sequence[str] = ()) -> Steps:
        """Make the cloud what the program says.

        Raises:
            EngineError: An operation failed. The state keeps earlier resources, and the next `up` continues.
        """
        return self._run(program, config, secret_config, preview=False)

    def refresh(self) -> Steps:
        """Take over what the cloud says: what is gone there is dropped, what is another is kept as it is there."""
        steps: Steps = {}
        for urn, kept in list(self.resources.items()):
            if not kept.custom or _is_provider(urn):
                continue
            found = self.cloud.read(urn.split("::")[2].split("$")[-1], kept.object_id)
            if found is None:
                del self.resources[urn]
                steps[urn] = "delete"
            elif found != (kept.inputs, kept.outputs):
                kept.inputs, kept.outputs = copy.deepcopy(found)
                steps[urn] = "update"
        return steps

    def destroy(self, *, unprotected: bool = False) -> Steps:
        """Delete everything, last made first.

        Raises:
            EngineError: A resource is protected, and `unprotected` (`pulumi state unprotect --all`) is not set.
        """
        guarded = [urn for urn, kept in self.resources.items() if kept.protect]
        if guarded and not unprotected:
            raise EngineError(f"protected: {', '.join(sorted(name_of(urn) for urn in guarded))}")
        return self._delete(list(reversed(self.resources)))

    def _run(
        self, program: Callable[[], Any], config: Mapping[str, Any], secret_config: Sequence[str], *, preview: bool
    ) -> Steps:
        references = {name: other.outputs for name, other in self.others.items()}
        monitor = _Monitor(self, preview=preview, references=references)
        failed: Exception | None = None
        try:
            execute(program, monitor, LogEngine(), config=config, secret_config=secret_config)
        except Exception as error:  # the program ends with whatever its first failed resource raised
            failed = error
        if monitor.failures or failed:
            if not preview:
                self.resources = {**self.resources, **monitor.seen}  # nothing is deleted by an `up` that failed
            raise EngineError("; ".join(monitor.failures) or str(failed)) from failed
        gone = [urn for urn in reversed(self.resources) if urn not in monitor.seen]
        if preview:
            return monitor.steps | dict.fromkeys(gone, "delete")
        guarded = [name_of(urn) for urn in gone if self.resources[urn].protect]
        if guarded:
            raise EngineError(f"protected: {', '.join(guarded)}")
        steps = monitor.steps | self._delete(gone)
        self.resources, self.outputs = monitor.seen, monitor.outputs
        return steps

    def _delete(self, urns: list[str]) -> Steps:
        for urn in urns:
            kept = self.resources[urn]
            if kept.custom and not _is_provider(urn):
                self.cloud.delete(urn, kept.object_id)
            del self.resources[urn]
        return dict.fromkeys(urns, "delete")


class _Monitor(Monitor):
    """Registers resources as the graph's monitor does, and does to the cloud what each needs."""

    def __init__(self, state: StackState, *, preview: bool, references: Mapping[str, Any]) -> None:
        super().__init__(state.project, state.stack, preview=preview, fakes={}, stacks=references)
        self.state = state
        self.seen: dict[str, Kept] = {}
        self.steps: Steps = {}
        self.failures: list[str] = []

    def RegisterResource(self, request: Any) -> Any:
        answer = super().RegisterResource(request)
        if request.type == "pulumi:pulumi:Stack":
            return answer
        urn = urn_of(self.stack, self.project, request.parent, request.type, request.name)
        with self.lock:
            try:
                kept = self._do(urn, decode(request.object), custom=request.custom, protect=request.protect)
            except Exception as error:
                self.failures.append(f"{name_of(urn)}: {error}")
                raise
        self.seen[urn] = kept
        return resource_pb2.RegisterResourceResponse(urn=urn, id=kept.object_id, object=encode_struct(kept.outputs))

    def _do(self, urn: str, given: dict[str, Any], *, custom: bool, protect: bool) -> Kept:
        old, cloud = self.state.resources.get(urn), self.state.cloud
        if not custom or _is_provider(urn):
            if old is None:
                self.steps[urn] = "create"
            return Kept(given, given, "provider-id" if custom else "", custom, protect)
        inputs = cloud.check(urn, given, old.inputs if old else None)
        if old is None:
            self.steps[urn] = "create"
            object_id, outputs = cloud.create(urn, inputs, preview=self.preview)
            return Kept(inputs, outputs, object_id, custom, protect)
        difference = cloud.diff(urn, old.inputs, inputs)
        if not difference.paths:
            return Kept(inputs, old.outputs, old.object_id, custom, protect)
        if not difference.replaces:
            self.steps[urn] = "update"
            outputs = cloud.update(urn, old.object_id, old.outputs, inputs, preview=self.preview)
            return Kept(inputs, outputs, old.object_id, custom, protect)
        if old.protect:
            raise EngineError("protected, and this change would replace it")
        self.steps[urn] = "replace"
        if difference.delete_first and not self.preview:
            cloud.delete(urn, old.object_id)
        elif not difference.delete_first:
            inputs = cloud.check(urn, given, None)
        object_id, outputs = cloud.create(urn, inputs, preview=self.preview)
        if not difference.delete_first and not self.preview:
            cloud.delete(urn, old.object_id)
        return Kept(inputs, outputs, object_id, custom, protect)


def _is_provider(urn: str) -> bool:
    return "pulumi:providers:" in urn
