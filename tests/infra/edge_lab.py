"""The running edge: a real Traefik instead of the chart's pod, and processes instead of the pods behind it.

A process replaces a pod by listening on the pod's address in the lab's network. The cluster knows a Service's pods.
"""

import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from tests.engines import need_engine
from tests.infra.harness.objects import Objects
from tests.infra.traefik import READ, arguments
from tests.k8slab import programs
from tests.k8slab.network import Network

FAKE_SERVICES = Path(__file__).with_name("fake_services.py")
THROTTLE = "100ms"  # how long Traefik gathers changes; 2 s by default


class Edge:
    """Everything that a request from outside meets."""

    def __init__(self, network: Network, authority: ssl.SSLContext) -> None:
        """
        Args:
            network: Of the lab that the stacks were applied to.
            authority: Whom clients trust.
        """
        self.network = network
        self.lab = network.lab
        self.objects = Objects(network.lab)
        self.authority = authority
        self._started: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_reason: object) -> None:
        """Stop what was started here: the cluster gives the addresses of deleted pods to others."""
        for name in set(self._started) & set(self.lab.processes):
            self.network.kill(name)
        self._started.clear()

    def endpoints(self, namespace: str, service: str) -> list[tuple[str, dict[str, int]]]:
        """Ready pods of a Service: address, and container port by the name of the service port."""
        slices = self.objects.select(
            "discovery.k8s.io/v1", "EndpointSlice", namespace, {"kubernetes.io/service-name": service}
        )
        return [
            (address, {port.get("name") or "": port["port"] for port in item["ports"]})
            for item in slices
            for endpoint in item["endpoints"] or []
            if endpoint["conditions"].get("ready")
            for address in endpoint["addresses"]
        ]

    def stand(
        self,
        namespace: str,
        service: str,
        command: Callable[[str, Mapping[str, int]], Sequence[str | Path]],
        **more: Any,
    ) -> list[str]:
        """Start a process per pod of a Service with the command `command(address, ports)`; return the addresses."""
        found = self.endpoints(namespace, service)
        assert found, f"Service {namespace}/{service} has no ready pod"
        for address, ports in found:
            name = f"{namespace}-{service}-{address}"
            self.network.spawn(name, command(address, ports), **more)
            self._started.append(name)
        return [address for address, _ in found]

    def fake_service(self, kind: str, namespace: str, service: str) -> None:
        """Start a process of `fake_services.py` per pod of a Service, on its web port."""
        port = _web_port(self.endpoints(namespace, service)[0][1])

        def command(address: str, _ports: Mapping[str, int]) -> list[str | Path]:
            return [sys.executable, "-S", FAKE_SERVICES, kind, address, str(port), service]

        for address in self.stand(namespace, service, command):
            self.wait_for_port(address, port)

    def traefik(self, namespace: str, release: str, values: Mapping[str, Any]) -> None:
        """Real Traefiks as the ServiceAccount of the chart, with the arguments that the chart makes of the values."""
        token = self.lab.kubectl(
            "create", "token", release, "--namespace", namespace, "--duration", "1h"
        ).stdout.strip()
        access = {"endpoint": self.lab.url, "token": token, "certAuthFilePath": self.lab.folder / "apiserver.crt"}

        def command(address: str, _ports: Mapping[str, int]) -> list[str | Path]:
            given = arguments(values, address, namespace)
            providers = [name for name in READ if f"--providers.{name}=true" in given]
            cluster = [f"--providers.{name}.{key}={value}" for name in providers for key, value in access.items()]
            return [need_engine("traefik"), *given, *cluster, f"--providers.providersThrottleDuration={THROTTLE}"]

        for address in self.stand(namespace, release, command):
            self.wait_for_port(address, 8080, "/ping")
        # A connection that kube-proxy does not know yet is lost for good: the kernel remembers that it leads nowhere.
        with self.http() as client:
            self.lab.wait_for("kube-proxy", lambda: client.get("http://edge/", timeout=1).status_code < 500)

    def wait_for_port(self, address: str, port: int, path: str = "/") -> None:
        """Wait until an HTTP server answers there, whatever it says."""
        with self.network.client(address, port, tls=None) as client:
            name = next(name for name in self.lab.processes if name.endswith(f"-{address}"))
            self.lab.wait_for(name, lambda: client.get(f"http://{address}{path}").status_code < 500, timeout_s=60)

    def tails(self) -> str:
        """What Traefik and the stand-ins said last."""
        return "\n".join(
            f"{name}: {self.lab.tail(name, 5)}" for name in self.lab.processes if name.startswith(("mlp-", "team-"))
        )

    def https(self, **options: Any) -> httpx.Client:
        """A client from outside that comes in by the load balancer's port 443, whatever host it asks for."""
        return self._client(443, self.authority, options)

    def http(self) -> httpx.Client:
        """The same at port 80."""
        return self._client(80, None, {})

    def _client(self, port: int, context: ssl.SSLContext | None, options: Mapping[str, Any]) -> httpx.Client:
        door = self.network.door(programs.LOAD_BALANCER_IP, port)
        transport = httpx.HTTPTransport(uds=str(door), verify=context or False, **options)
        return httpx.Client(transport=transport, timeout=30, trust_env=False, follow_redirects=False)


def _web_port(ports: Mapping[str, int]) -> int:
    return next((ports[name] for name in ("http", "http-web") if name in ports), next(iter(ports.values())))
