"""The simulated cloud over the wire, as an engine calls it."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from tests.infra.harness.plugin import serve
from tests.infra.harness.simulator import Cloud
from tests.infra.harness.wire import UNKNOWN, Secret, decode, encode_struct

URN = "urn:pulumi:dev::project::kubernetes:core/v1:{}::{}"


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def plugin(cloud: Cloud) -> Iterator[Any]:
    server, port = serve("kubernetes", cloud)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    server.stop(0)


def config_map(text: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "x", **metadata}, "data": {"a": text}}


def make(plugin: Any, urn: str, inputs: dict[str, Any]) -> tuple[Any, Any]:
    checked = plugin.Check(provider_pb2.CheckRequest(urn=urn, news=encode_struct(inputs)))
    return checked, plugin.Create(provider_pb2.CreateRequest(urn=urn, properties=checked.inputs))


def test_it_identifies_itself(plugin: Any) -> None:
    assert plugin.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:1")).accept_secrets
    assert plugin.GetPluginInfo(empty_pb2.Empty()).version.startswith("4.")


def test_an_object_is_created_read_and_deleted(plugin: Any) -> None:
    urn = URN.format("Service", "web")
    checked, made = make(
        plugin,
        urn,
        {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "x"}, "spec": {"ports": [Secret(1)]}},
    )
    assert made.id.startswith("x/web-") and decode(made.properties)["spec"]["ports"] == [Secret(1)]
    same = plugin.Diff(
        provider_pb2.DiffRequest(
            id=made.id, urn=urn, olds=made.properties, old_inputs=checked.inputs, news=checked.inputs
        )
    )
    assert same.changes == provider_pb2.DiffResponse.DIFF_NONE
    read = plugin.Read(provider_pb2.ReadRequest(id=made.id, urn=urn, properties=made.properties, inputs=checked.inputs))
    assert read.id == made.id and decode(read.inputs) == decode(checked.inputs)
    with pytest.raises(grpc.RpcError, match="already exists"):
        plugin.Create(provider_pb2.CreateRequest(urn=urn, properties=checked.inputs))
    plugin.Delete(provider_pb2.DeleteRequest(id=made.id, urn=urn, properties=made.properties))
    assert plugin.Read(provider_pb2.ReadRequest(id=made.id, urn=urn)).id == ""


def test_a_preview_creates_nothing(plugin: Any, cloud: Cloud) -> None:
    urn = URN.format("Service", "web")
    inputs = encode_struct(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"type": "LoadBalancer"}}
    )
    made = plugin.Create(provider_pb2.CreateRequest(urn=urn, properties=inputs, preview=True))
    assert made.id == "" and decode(made.properties)["status"] is UNKNOWN and cloud.objects == {}


@pytest.mark.parametrize(
    ("metadata", "old_goes_first"), [({"name": "fixed"}, True), ({}, False)], ids=["fixed name", "automatic name"]
)
def test_new_data_of_a_config_map_replaces_it(plugin: Any, metadata: dict[str, Any], *, old_goes_first: bool) -> None:
    urn = URN.format("ConfigMap", "settings")
    checked, made = make(plugin, urn, config_map("1", **metadata))
    new = plugin.Check(
        provider_pb2.CheckRequest(urn=urn, olds=checked.inputs, news=encode_struct(config_map("2", **metadata)))
    )
    assert decode(new.inputs)["metadata"] == decode(checked.inputs)["metadata"]
    answer = plugin.Diff(
        provider_pb2.DiffRequest(id=made.id, urn=urn, olds=made.properties, old_inputs=checked.inputs, news=new.inputs)
    )
    assert (list(answer.replaces), answer.deleteBeforeReplace) == (["data.a"], old_goes_first)


def test_an_operation_set_to_fail_fails(plugin: Any, cloud: Cloud) -> None:
    cloud.failing = {"create:settings"}
    with pytest.raises(grpc.RpcError, match="told to fail: create settings"):
        make(plugin, URN.format("ConfigMap", "settings"), config_map("1"))
