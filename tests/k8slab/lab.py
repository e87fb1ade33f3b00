"""A real, small Kubernetes control plane as local processes.

It needs no container engine, no root, and no network but loopback.

    with Lab() as lab:                      # etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok
        lab.kubectl("apply", "-f", "x.yaml")

Everything listens on 127.0.0.1, on free ports, and is stored in one folder that is removed at the end. The pods are
fake (kwok): they are scheduled and become Ready, but nothing runs. `network` replaces them with real processes.
"""

import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from tests.engines import need_engine
from tests.k8slab import programs
from tests.k8slab.webhooks import Webhooks

STAGES = Path(__file__).with_name("kwok.yaml")
READY_TIMEOUT_S = 90.0


class LabError(RuntimeError):
    """The control plane did not start, or a command against it failed."""


def die_with_parent() -> None:
    """Ask the kernel, in a new process, to kill it when the thread that started it ends.

    So nothing outlives a killed test run.
    """
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """Loopback ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]
    finally:
        for item in sockets:
            item.close()


class Lab:
    """Starts the control plane on entry; stops it and removes its folder on exit."""

    def __init__(
        self, *, nodes: Sequence[Mapping[str, Any]] = programs.NODES, storage_classes: Sequence[str] = ("standard",)
    ) -> None:
        """
        Args:
            nodes: Node objects that kwok keeps Ready.
            storage_classes: Names; the first is the default class.
        """
        self.nodes = nodes
        self.storage_classes = storage_classes
        self.folder = Path(tempfile.mkdtemp(prefix="k8slab-"))
        self.kubeconfig = self.folder / "kubeconfig"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.tokens = {name: secrets.token_hex(16) for name in programs.IDENTITIES}
        self.ready_s = 0.0
        self.port = 0
        self._client: httpx.Client | None = None
        self._webhooks: Webhooks | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _start(self) -> None:
        began = time.monotonic()
        (self.folder / "logs").mkdir()
        etcd_port, peer_port, self.port = free_ports(3)
        self._write_identities()
        self.spawn("etcd", [need_engine("etcd"), *programs.etcd(self.folder, etcd_port, peer_port)])
        self._webhooks = Webhooks(self.folder, self)
        self._webhooks.start()
        server = programs.apiserver(self.folder, etcd_port, self.port, self._webhooks.configuration)
        self.spawn("kube-apiserver", [need_engine("kube-apiserver"), *server])
        authority = self.folder / "apiserver.crt"
        # The file exists before its content: a busy machine would read it empty.
        self.wait_for("kube-apiserver", lambda: authority.read_text().rstrip().endswith("-----END CERTIFICATE-----"))
        for name, (user, _group) in programs.IDENTITIES.items():
            path = "kubeconfig" if name == "admin" else f"{name}.kubeconfig"
            self._private(path, programs.kubeconfig(self.url, authority, user, self.tokens[name]))
        context = ssl.create_default_context(cafile=str(authority))
        self._client = httpx.Client(base_url=self.url, verify=context, timeout=30, trust_env=False)
        self.wait_for("kube-apiserver", lambda: self.send("GET", "/readyz").text == "ok")
        self.spawn(
            "kube-controller-manager",
            [need_engine("kube-controller-manager"), *programs.controller_manager(self.folder)],
        )
        self.spawn("kube-scheduler", [need_engine("kube-scheduler"), *programs.scheduler(self.folder)])
        self.spawn("kwok", [need_engine("kwok"), *programs.kwok(self.folder, STAGES)])
        for item in self.nodes:
            self.request("POST", "/api/v1/nodes", dict(item))
        for order, name in enumerate(self.storage_classes):
            for path, item in programs.storage(name, default=order == 0):
                self.request("POST", path, item)
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self.wait_for("kube-controller-manager", lambda: self.send("GET", account).is_success)
        self.wait_for("kwok", self._nodes_are_ready)
        self.ready_s = time.monotonic() - began

    def stop(self) -> None:
        """Stop the processes in reverse starting order and remove the folder."""
        if self._webhooks is not None:
            self._webhooks.stop()
        if self._client is not None:
            self._client.close()
        for name in reversed(list(self.processes)):
            if self.processes[name].poll() is None:
                self.processes[name].send_signal(signal.SIGTERM if name == "etcd" else signal.SIGKILL)
        for process in self.processes.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """The API server's address."""
        return f"https://127.0.0.1:{self.port}"

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        token: str | None = None,
        params: Mapping[str, str] | None = None,
        as_user: str | None = None,
    ) -> httpx.Response:
        """Send one request to the API server and return its response.

        Args:
            method: HTTP method.
            path: With or without a query.
            body: Sent as JSON; None sends nothing.
            content_type: Content type of the body; a patch needs its own.
            token: Token of a ServiceAccount; the admin's by default.
            params: The query.
            as_user: User whom the admin impersonates, e.g. `system:serviceaccount:NAMESPACE:NAME`.
        """
        assert self._client is not None, "the lab has not started"
        headers = {"Authorization": f"Bearer {token or self.tokens['admin']}", "Content-Type": content_type}
        if as_user:
            headers["Impersonate-User"] = as_user
        content = None if body is None else json.dumps(body)
        while True:
            answer = self._client.request(method, path, content=content, headers=headers, params=params)
            if (
                answer.status_code != httpx.codes.TOO_MANY_REQUESTS
            ):  # a new definition's storage is still being created: retry, as clients do
                return answer
            time.sleep(0.2)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request as admin, require success, and return the response's JSON."""
        answer = self.send(method, path, body)
        if not answer.is_success:
            raise LabError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl as admin and return its output as text."""
        command = [str(need_engine("kubectl")), "--kubeconfig", str(self.kubeconfig), *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise LabError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done

    def environment(self) -> dict[str, str]:
        """This process's environment with the lab as its cluster."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def spawn(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        """Start a program that ends with the lab; its output is in logs/NAME.log."""
        with (self.folder / "logs" / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [str(word) for word in command],
                stdin=stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=None if env is None else dict(env),
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def wait_for(self, name: str, check: Callable[[], object], timeout_s: float = READY_TIMEOUT_S) -> None:
        """Wait until `check()` is true.

        A refused connection means "not yet"; an ended program is an error.
        """
        deadline = time.monotonic() + timeout_s
        last: Exception | None = None
        while time.monotonic() < deadline:
            for program, process in self.processes.items():
                if process.poll() is not None:
                    raise LabError(f"{program} ended with {process.returncode}:\n{self.tail(program)}")
            try:
                if check():
                    return
            except (httpx.HTTPError, OSError) as error:
                last = error
            time.sleep(0.1)
        raise LabError(f"{name} not ready after {timeout_s:g} s ({last}):\n{self.tail(name)}")

    def tail(self, name: str, lines: int = 15) -> str:
        """The end of a program's output."""
        path = self.folder / "logs" / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.is_file() else ""

    def _write_identities(self) -> None:
        rows = [
            f"{self.tokens[name]},{user},{name}" + (f',"{group}"' if group else "")
            for name, (user, group) in programs.IDENTITIES.items()
        ]
        self._private("tokens.csv", "\n".join(rows) + "\n")
        subprocess.run(
            ["openssl", "genrsa", "-out", str(self.folder / "sa.key"), "2048"], check=True, capture_output=True
        )

    def _private(self, name: str, content: str) -> None:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(content, encoding="utf-8")

    def _nodes_are_ready(self) -> bool:
        found = [node.get("status", {}).get("conditions", []) for node in self.request("GET", "/api/v1/nodes")["items"]]
        return sum(
            any(c["type"] == "Ready" and c["status"] == "True" for c in conditions) for conditions in found
        ) >= len(self.nodes)
