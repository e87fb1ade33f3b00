"""Fake Pulumi engine for one run of `graph.run_program`: registers resources, answers functions and references."""

import threading
from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime import mocks, rpc
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, engine_pb2, provider_pb2, resource_pb2

from tests.infra.harness.graph import Call, Fake, Resource
from tests.infra.harness.outputs import outputs_for
from tests.infra.harness.wire import Secret, decode, encode_struct, plain


class Monitor(mocks.MockMonitor):
    """Called from executor threads."""

    def __init__(
        self, project: str, stack: str, *, preview: bool, fakes: Mapping[str, Fake], stacks: Mapping[str, Any]
    ) -> None:
        self.project, self.stack, self.preview, self.fakes, self.stacks = project, stack, preview, fakes, stacks
        self.records: dict[str, Resource] = {}
        self.outputs: dict[str, Any] = {}
        self.secret_outputs: set[str] = set()
        self.transforms: list[Any] = []
        self.lock, self.root = threading.RLock(), ""

    def RegisterResource(self, request: Any) -> Any:
        if request.type == "pulumi:pulumi:Stack":
            self.root = urn_of(self.stack, self.project, "", request.type, request.name)
            return resource_pb2.RegisterResourceResponse(urn=self.root)
        properties = request.object
        for callback in [*request.transforms, *self.transforms]:
            properties = _transformed(callback, request, properties)
        record, state = self._record(request, properties, read=False), {}
        if request.custom:
            state = decode(properties) | self._outputs(request.type, request.name, record.inputs)
            for key in set(request.additionalSecretOutputs) & set(state):
                state[key] = state[key] if isinstance(state[key], Secret) else Secret(state[key])
            if not self.preview or request.type.startswith("pulumi:providers:"):
                record.id = f"{request.name}-id"
        record.outputs = plain(state, "", record.secret_outputs)
        return resource_pb2.RegisterResourceResponse(urn=record.urn, id=record.id or "", object=encode_struct(state))

    def ReadResource(self, request: Any) -> Any:
        record = self._record(request, request.properties, read=True)
        state: dict[str, Any] = {}
        if request.type == "pulumi:pulumi:StackReference":
            if request.id not in self.stacks:
                raise LookupError(f"unknown stack {request.id!r}: pass stacks={{...}} to run_program")
            outputs = dict(self.stacks[request.id])
            secret = [key for key, value in outputs.items() if isinstance(value, Secret)]
            outputs = {key: plain(value) for key, value in outputs.items()}
            state = {"name": request.id, "outputs": Secret(outputs) if secret else outputs, "secretOutputNames": secret}
        elif request.id != rpc.UNKNOWN:
            state = self._outputs(request.type, request.name, record.inputs) | decode(request.properties)
        record.id, record.outputs = request.id, plain(state, "", record.secret_outputs)
        return resource_pb2.ReadResourceResponse(urn=record.urn, properties=encode_struct(state))

    def Invoke(self, request: Any) -> Any:
        return resource_pb2.ResourceInvokeResponse(**{"return": encode_struct(self._function(request))})

    def Call(self, request: Any) -> Any:
        return provider_pb2.CallResponse(**{"return": encode_struct(self._function(request))})

    def _function(self, request: Any) -> Mapping[str, Any]:
        if request.tok not in self.fakes:
            raise LookupError(f"no fake for function {request.tok}: pass fakes={{...}} to run_program")
        return self.fakes[request.tok](Call(request.tok, "", plain(decode(request.args)), self.preview))

    def RegisterResourceOutputs(self, request: Any) -> Any:
        secrets: set[str] = set()
        outputs = plain(decode(request.outputs), "", secrets)
        if request.urn == self.root:
            self.outputs, self.secret_outputs = outputs, secrets
        else:
            self.records[request.urn].outputs, self.records[request.urn].secret_outputs = outputs, secrets
        return empty_pb2.Empty()

    def RegisterStackTransform(self, request: Any) -> Any:
        self.transforms.append(request)
        return empty_pb2.Empty()

    def _outputs(self, token: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        made = {} if token.startswith("pulumi:") else outputs_for(token, name, inputs, preview=self.preview)
        fake = self.fakes.get(token)
        return made | dict(fake(Call(token, name, inputs, preview=self.preview)) if fake else {})

    def _record(self, request: Any, properties: Any, *, read: bool) -> Resource:
        secrets: set[str] = set()
        record = Resource(
            type=request.type,
            name=request.name,
            urn=urn_of(self.stack, self.project, request.parent, request.type, request.name),
            parent=request.parent,
            custom=read or request.custom,
            inputs=plain(decode(properties), "", secrets),
            secret_inputs=secrets,
            read=read,
            opts={"provider": request.provider, "depends_on": sorted(request.dependencies), "version": request.version},
        )
        if not read:
            record.opts |= _options(request)
            record.property_deps = {key: sorted(value.urns) for key, value in request.propertyDependencies.items()}
        with self.lock:
            if record.urn in self.records and not read:
                raise ValueError(f"Duplicate resource URN '{record.urn}'; try giving it a unique name")
            self.records[record.urn] = record
        return record


class Engine(mocks.MockEngine):
    """Keeps what the program logged."""

    def __init__(self) -> None:
        self.logs: list[tuple[str, str]] = []

    def Log(self, request: Any) -> Any:
        if request.severity != engine_pb2.DEBUG:
            self.logs.append((engine_pb2.LogSeverity.Name(request.severity), request.message))
        return empty_pb2.Empty()

    def RequirePulumiVersion(self, request: Any) -> Any:
        return empty_pb2.Empty()


def urn_of(stack: str, project: str, parent: str, token: str, name: str) -> str:
    """The URN that the engine gives: the types of all parents, then the name."""
    parent_type = parent.split("::")[2] if parent else ""
    qualified = token if parent_type in ("", "pulumi:pulumi:Stack") else f"{parent_type}${token}"
    return f"urn:pulumi:{stack}::{project}::{qualified}::{name}"


def _options(request: Any) -> dict[str, Any]:
    timeouts = {name: getattr(request.customTimeouts, name) for name in ("create", "update", "delete")}
    return {
        "providers": dict(request.providers),
        "protect": request.protect,
        "retain_on_delete": request.retainOnDelete,
        "ignore_changes": list(request.ignoreChanges),
        "additional_secret_outputs": list(request.additionalSecretOutputs),
        "import": request.importId,
        "delete_before_replace": request.deleteBeforeReplace,
        "deleted_with": request.deletedWith,
        "aliases": [_alias(alias) for alias in request.aliases],
        "timeouts": {name: value for name, value in timeouts.items() if value},
    }


def _alias(alias: Any) -> str | dict[str, Any]:
    if alias.WhichOneof("alias") == "urn":
        return str(alias.urn)
    spec = alias.spec
    parts = {"name": spec.name, "type": spec.type, "parent": spec.parentUrn, "no_parent": spec.noParent}
    return {key: value for key, value in parts.items() if value}


def _transformed(callback: Any, request: Any, properties: Any) -> Any:
    """Ask the program's transform for new properties and options; the options go back into the request."""
    given = {
        name: getattr(request, field)
        for name, field in (("protect", "protect"), ("retain_on_delete", "retainOnDelete"))
        if request.HasField(field)
    }
    options = resource_pb2.TransformResourceOptions(
        depends_on=request.dependencies,
        ignore_changes=request.ignoreChanges,
        version=request.version,
        provider=request.provider,
        providers=request.providers,
        **given,
    )
    asked = resource_pb2.TransformRequest(
        type=request.type,
        name=request.name,
        custom=request.custom,
        parent=request.parent,
        properties=properties,
        options=options,
    )
    with grpc.insecure_channel(callback.target) as channel:
        answer = callback_pb2_grpc.CallbacksStub(channel).Invoke(
            callback_pb2.CallbackInvokeRequest(token=callback.token, request=asked.SerializeToString())
        )
    response = resource_pb2.TransformResponse.FromString(answer.response)
    if response.HasField("options"):
        if response.options.HasField("protect"):
            request.protect = response.options.protect
        if response.options.HasField("retain_on_delete"):
            request.retainOnDelete = response.options.retain_on_delete
        request.provider = response.options.provider or request.provider
        request.ignoreChanges[:], request.dependencies[:] = response.options.ignore_changes, response.options.depends_on
    return response.properties
