"""A cluster's network for a Lab: pod IPs, ClusterIPs, load balancers, service names.

    with Lab() as lab, Network(lab) as network:
        network.spawn("web", [python, "-m", "http.server", "--bind", pod_ip, "8000"])
        httpx.Client(transport=network.transport("10.0.0.2", 443, verify=...))

It is a network namespace in which every pod address is local, so a process bound to a pod's IP *is* that pod
(`k8slab/ip` on the pod template chooses it). kube-proxy implements the Services. The test process stays outside and
connects through path sockets, which are not bound to a namespace. Needs root or unprivileged user namespaces, and
Debian's iproute2 and nftables.
"""

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import httpx
import pytest

from tests.engines import need_engine
from tests.k8slab import programs
from tests.k8slab.lab import Lab

RELAY, DNS = Path(__file__).with_name("relay.py"), Path(__file__).with_name("cluster_dns.py")
RESOLVER = "search svc.cluster.local cluster.local\nnameserver 127.0.0.1\noptions ndots:5\n"
SET_UP = f"""
set -e
ip link set lo up
ip addr add {programs.NODE_IP}/32 dev lo
ip route add local {programs.POD_RANGE} dev lo
ip route add {programs.SERVICE_RANGE} dev lo src {programs.NODE_IP}
ip route add {programs.LOAD_BALANCER_IP}/32 dev lo src {programs.NODE_IP}
mount --bind "$0" /etc/resolv.conf
exec "$@"
"""


def _need_namespaces() -> None:
    for program in ("unshare", "nsenter", "ip", "nft"):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            (pytest.fail if os.environ.get("REQUIRE_ENGINES") else pytest.skip)(f"{program} is not on this machine")


class Network:
    """The namespace, its relays, DNS and kube-proxy; all end with the Lab."""

    def __init__(self, lab: Lab, *, domain: str = "k8slab.test") -> None:
        """
        Args:
            lab: Running.
            domain: All its names resolve to the load balancer, for processes inside.
        """
        self.lab = lab
        self.domain = domain
        self._is_root = os.geteuid() == 0
        self._holder = 0

    def __enter__(self) -> Self:
        _need_namespaces()
        api_socket = self.lab.folder / "api.sock"
        self._relay("relay-api", [], f"unix:{api_socket} tcp:127.0.0.1:{self.lab.port}", api_socket)
        resolver, token = self.lab.folder / "resolv.conf", self.lab.folder / "proxy.token"
        resolver.write_text(RESOLVER, encoding="utf-8")
        token.touch(mode=0o600)
        token.write_text(self.lab.tokens["admin"], encoding="utf-8")
        flags = ["-n", "-m"] if self._is_root else ["-r", "-n", "-m"]
        self._relay(
            "network",
            ["unshare", *flags, "--", "sh", "-c", SET_UP, str(resolver)],
            f"tcp:127.0.0.1:{self.lab.port} unix:{api_socket}",
            None,
        )
        self._holder = self.lab.processes["network"].pid
        self.door("127.0.0.1", self.lab.port)  # the namespace is ready once its relay listens
        self.spawn(
            "dns", [sys.executable, "-S", DNS, self.lab.url, self.lab.folder / "apiserver.crt", token, self.domain]
        )
        self.spawn("kube-proxy", [need_engine("kube-proxy"), *programs.proxy(self.lab.folder)])
        with self.client(programs.NODE_IP, 10256, tls=None) as client:
            self.lab.wait_for("kube-proxy", lambda: client.get("http://node/healthz").status_code == 200)
        return self

    def __exit__(self, *_exc: object) -> None:
        """Do nothing: the processes end with the Lab, and the namespace with them."""

    def _relay(self, name: str, within: Sequence[str], first: str, appears: Path | None) -> None:
        self.lab.spawn(name, [*within, sys.executable, "-S", RELAY], stdin=subprocess.PIPE)
        self._order(name, first, appears)

    def _order(self, name: str, line: str, appears: Path | None) -> None:
        pipe = self.lab.processes[name].stdin
        assert pipe is not None
        pipe.write(f"{line}\n".encode())
        pipe.flush()
        if appears is not None:
            self.lab.wait_for(name, appears.exists)

    def spawn(self, name: str, command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> None:
        """Start a program inside the namespace; it ends with the lab."""
        flags = ["-n", "-m"] if self._is_root else ["-U", "--preserve-credentials", "-n", "-m"]
        self.lab.spawn(name, ["nsenter", "-t", str(self._holder), *flags, "--", *command], env=env)

    def kill(self, name: str) -> None:
        """Stop a program that `spawn` started."""
        process = self.lab.processes.pop(name)
        process.kill()
        process.wait()

    def door(self, host: str, port: int) -> Path:
        """A path socket that leads to an address inside the namespace."""
        path = self.lab.folder / f"door-{host}-{port}.sock"
        if not path.exists():
            self._order("network", f"unix:{path} tcp:{host}:{port}", path)
        return path

    def client(self, host: str, port: int, *, tls: ssl.SSLContext | None) -> httpx.Client:
        """A client whose every request goes to that address, whatever host its URL contains."""
        transport = httpx.HTTPTransport(uds=str(self.door(host, port)), verify=tls or False)
        return httpx.Client(transport=transport, timeout=30, trust_env=False)
