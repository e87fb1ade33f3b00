"""The simulated cloud as a provider plugin for the real Pulumi CLI.

    python -m tests.infra.harness.plugin kubernetes=PORT random=PORT

The CLI attaches to it with `PULUMI_DEBUG_PROVIDERS=kubernetes:PORT,random:PORT`. One process serves all packages.
"""

import importlib
import json
import sys
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from tests.infra.harness.outputs import OUTPUTS
from tests.infra.harness.simulator import Cloud, OperationFailed, token_of
from tests.infra.harness.wire import decode, encode_struct

_PROPERTY = provider_pb2.PropertyDiff
_KINDS: dict[tuple[str, bool], Any] = {  # (what, whether it replaces)
    ("add", False): _PROPERTY.ADD,
    ("add", True): _PROPERTY.ADD_REPLACE,
    ("delete", False): _PROPERTY.DELETE,
    ("delete", True): _PROPERTY.DELETE_REPLACE,
    ("update", False): _PROPERTY.UPDATE,
    ("update", True): _PROPERTY.UPDATE_REPLACE,
}


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """One package's provider before a cloud."""

    def __init__(self, package: str, cloud: Cloud) -> None:
        self.package, self.cloud = package, cloud

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True, accept_resources=True, accept_outputs=False, supports_autonaming_configuration=False
        )

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        module = importlib.import_module(f"pulumi_{self.package}")
        about = json.loads((Path(str(module.__file__)).parent / "pulumi-plugin.json").read_text(encoding="utf-8"))
        return plugin_pb2.PluginInfo(version=about.get("version") or "1.0.0")

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(
            schema=json.dumps({"name": self.package, "version": self.GetPluginInfo(None, None).version})
        )

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        same = request.old_inputs == request.news
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_NONE if same else provider_pb2.DiffResponse.DIFF_SOME
        )

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=True, acceptOutputs=False
        )

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Check(self, request: Any, context: Any) -> Any:
        olds = decode(request.olds) if request.HasField("olds") else None
        return provider_pb2.CheckResponse(
            inputs=encode_struct(self.cloud.check(request.urn, decode(request.news), olds))
        )

    def Diff(self, request: Any, context: Any) -> Any:
        olds = decode(request.old_inputs if request.HasField("old_inputs") else request.olds)
        found = self.cloud.diff(request.urn, olds, decode(request.news))
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if found.paths else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted({path.split(".")[0].split("[")[0] for _, path in found.paths}),
            replaces=found.replaces,
            deleteBeforeReplace=found.delete_first,
            hasDetailedDiff=True,
            detailedDiff={
                path: _PROPERTY(kind=_KINDS[kind, path in found.replaces], inputDiff=True) for kind, path in found.paths
            },
        )

    def Create(self, request: Any, context: Any) -> Any:
        try:
            object_id, outputs = self.cloud.create(request.urn, decode(request.properties), preview=request.preview)
        except OperationFailed as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return provider_pb2.CreateResponse(id=object_id, properties=encode_struct(outputs))

    def Read(self, request: Any, context: Any) -> Any:
        found = self.cloud.read(token_of(request.urn), request.id)
        if found is None:
            return provider_pb2.ReadResponse(id="")
        return provider_pb2.ReadResponse(
            id=request.id, inputs=encode_struct(found[0]), properties=encode_struct(found[1])
        )

    def Update(self, request: Any, context: Any) -> Any:
        try:
            outputs = self.cloud.update(
                request.urn, request.id, decode(request.olds), decode(request.news), preview=request.preview
            )
        except OperationFailed as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return provider_pb2.UpdateResponse(properties=encode_struct(outputs))

    def Delete(self, request: Any, context: Any) -> Any:
        try:
            self.cloud.delete(request.urn, request.id)
        except OperationFailed as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return empty_pb2.Empty()


def serve(package: str, cloud: Cloud, port: int = 0) -> tuple[Any, int]:
    """(server, port): a running plugin on the loopback address."""
    server = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", 400 << 20)])
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Plugin(package, cloud), server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, bound


def main(arguments: list[str]) -> None:
    """Serve packages until the process is ended; prints `package:port,…` once they answer."""
    assert OUTPUTS  # the tables are loaded before the engine calls in parallel
    cloud = Cloud()
    running = [
        (package, *serve(package, cloud, int(port or 0)))
        for package, _, port in (text.partition("=") for text in arguments)
    ]
    print(",".join(f"{package}:{port}" for package, _, port in running), flush=True)
    running[0][1].wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1:])
