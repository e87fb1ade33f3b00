"""Run a Pulumi program in this process and get its resource graph as data: no CLI, no plugins, no network.

    graph = run_program(main, config={"infra-stack:domain": "ml.example.com"})
    graph.one("kubernetes:apps/v1:Deployment", "mlflow").inputs["spec"]

Unlike Pulumi's own mocks it builds real URNs, rejects duplicates, runs transforms, and records secretness and options.
Every run has its own thread, context and event loop, so runs in one process are independent. `plan` compares graphs.
"""

import asyncio
import contextvars
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import mocks, settings
from pulumi.runtime import stack as runtime_stack

from tests.infra.harness.wire import strings


@dataclass
class Resource:
    """One registered resource. Inputs and outputs are plain values, `UNKNOWN`, or the marks of `wire.decode`."""

    type: str
    name: str
    urn: str
    parent: str
    custom: bool
    inputs: dict[str, Any]
    secret_inputs: set[str]  # paths: "data.key", "spec.env[0].value"
    id: str | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    secret_outputs: set[str] = field(default_factory=set)
    opts: dict[str, Any] = field(default_factory=dict)  # depends_on, protect, provider, aliases …
    property_deps: dict[str, list[str]] = field(default_factory=dict)
    read: bool = False  # X.get() and stack references

    @property
    def provider(self) -> str:
        """Name of the explicit provider, "" for the default one."""
        return str((self.opts.get("provider") or "::::::").split("::")[3])

    @property
    def namespace(self) -> str:
        return str((self.inputs.get("metadata") or {}).get("namespace") or self.inputs.get("namespace") or "")


@dataclass
class Graph:
    """What a program asked for, in the order in which it asked."""

    resources: list[Resource]
    outputs: dict[str, Any]
    secret_outputs: set[str]
    logs: list[tuple[str, str]]

    def of(self, type_: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.type == type_]

    def one(self, type_: str, name: str | None = None) -> Resource:
        found = [resource for resource in self.of(type_) if name is None or resource.name == name]
        there = sorted((resource.type, resource.name) for resource in self.resources)
        assert len(found) == 1, f"{len(found)} x {type_} {name or ''}; there are {there}"
        return found[0]

    def kubernetes(self, kind: str = "") -> list[Resource]:
        """Kubernetes objects (all, or of one kind); Helm releases are not objects."""
        return [r for r in self.resources if r.inputs.get("apiVersion") and (not kind or r.inputs.get("kind") == kind)]

    def strings(self) -> list[tuple[str, str]]:
        """(urn, value) of every string among the inputs."""
        return [(resource.urn, text) for resource in self.resources for text in strings(resource.inputs)]

    def as_data(self) -> list[dict[str, Any]]:
        """The same for the same program, with secrets masked: what a test may keep."""
        kept = []
        for resource in sorted(self.resources, key=lambda r: r.urn):
            inputs = json.loads(json.dumps(resource.inputs, sort_keys=True, default=repr))
            for path in resource.secret_inputs:
                _mask(inputs, path.split("."))
            opts = {key: value for key, value in resource.opts.items() if value and key != "version"}
            kept.append(
                {"urn": resource.urn, "type": resource.type, "custom": resource.custom, "inputs": inputs, "opts": opts}
            )
        return kept


def _mask(value: Any, path: list[str]) -> None:
    """Mask the whole top-level property where a path leads through a list: less to see is the safe side."""
    for key in path[:-1]:
        value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, dict):
            break
    if isinstance(value, dict) and path[-1] in value:
        value[path[-1]] = "[secret]"
    elif isinstance(value, dict):
        value.clear()


@dataclass
class Call:
    """What a fake sees of the resource or function that it answers for."""

    token: str
    name: str
    inputs: dict[str, Any]
    preview: bool


Fake = Callable[[Call], Mapping[str, Any]]


def run_program(
    program: Callable[[], Any],
    *,
    config: Mapping[str, Any] | None = None,
    secret_config: Sequence[str] = (),
    project: str = "project",
    stack: str = "dev",
    preview: bool = False,
    fakes: Mapping[str, Fake] | None = None,
    stacks: Mapping[str, Mapping[str, Any]] | None = None,
) -> Graph:
    """Run a program as `pulumi up` (or `preview`) would and return its graph.

    Args:
        program: What `__main__.py` does, sync or async.
        config: Values by "namespace:key"; what is not a string is JSON-encoded, as the CLI does.
        secret_config: Keys whose values are secret.
        project: Pulumi project name.
        stack: Pulumi stack name.
        preview: What only `up` knows is UNKNOWN.
        fakes: Outputs of resource types, and answers of functions, by token.
        stacks: Outputs of other stacks by "organization/project/stack", for stack references.
    """
    from tests.infra.harness.monitor import Engine, Monitor

    monitor, engine = Monitor(project, stack, preview=preview, fakes=fakes or {}, stacks=stacks or {}), Engine()
    execute(program, monitor, engine, config=config or {}, secret_config=secret_config)
    return Graph(list(monitor.records.values()), monitor.outputs, monitor.secret_outputs, engine.logs)


def execute(
    program: Callable[[], Any], monitor: Any, engine: Any, *, config: Mapping[str, Any], secret_config: Sequence[str]
) -> None:
    """Run a program against a monitor, in a thread, a context and an event loop of its own."""

    def run() -> None:
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(
            lambda *_: None
        )  # one failed resource poisons many futures: only the first error is raised
        try:
            asyncio.set_event_loop(loop)
            settings.configure(_settings(monitor, engine))
            settings.ROOT.set(None)
            values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
            pulumi.runtime.set_all_config(values, list(secret_config))
            loop.run_until_complete(runtime_stack.run_in_stack(program))
        finally:
            pending = asyncio.all_tasks(loop)
            for task in pending:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
            asyncio.set_event_loop(None)

    with ThreadPoolExecutor(1) as own_thread:
        own_thread.submit(contextvars.Context().run, run).result()


def _settings(monitor: Any, engine: Any) -> Any:
    return mocks.MockSettings(
        monitor=monitor,
        monitor_features=set(),
        engine=engine,
        project=monitor.project,
        stack=monitor.stack,
        dry_run=monitor.preview,
        organization="organization",
        callbacks=None,
        outputs=set(),
        lock=threading.Lock(),
        package_refs={},
        base_providers_by_ref={},
        root_directory=None,
        parallel=None,
        legacy_apply_enabled=False,
    )
