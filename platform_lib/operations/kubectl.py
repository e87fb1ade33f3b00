"""Run kubectl with the caller's permissions, and forward ports with it."""

import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from platform_lib.errors import NotFound, ServiceError, UsageError

_TIMEOUT_S = 30
_OPEN_WITHIN_S = 30.0
_INSTALL = (
    "kubectl is not on PATH: install it (https://kubernetes.io/docs/tasks/tools/) and give it a kubeconfig of the "
    "platform's cluster."
)


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl for the cluster of one kubeconfig context."""

    context: str = ""
    """Kubeconfig context; empty for the current one."""
    program: str = field(default="kubectl")

    def command(self, *arguments: str) -> list[str]:
        """Return a command line.

        Raises:
            UsageError: kubectl is not installed.
        """
        found = shutil.which(self.program)
        if found is None:
            raise UsageError(_INSTALL)
        return [found, *(["--context", self.context] if self.context else []), *arguments]

    def run(self, *arguments: str, text: str | None = None, timeout_s: float = _TIMEOUT_S) -> str:
        """Run kubectl and return its output.

        Args:
            *arguments: Arguments of kubectl.
            text: Standard input.
            timeout_s: Seconds until the request times out.
        Raises:
            NotFound: The object does not exist.
            ServiceError: The cluster does not respond or refuses the request; the message has kubectl's own words.
        """
        command = self.command("--request-timeout", f"{timeout_s:g}s", *arguments)
        try:
            done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=timeout_s + 5)
        except subprocess.TimeoutExpired as err:
            raise ServiceError(
                f"the cluster did not respond to `kubectl {' '.join(arguments[:4])}` within {timeout_s:g} s."
            ) from err
        if done.returncode == 0:
            return done.stdout
        reason = " ".join(done.stderr.split())
        if any(sign in reason for sign in ("NotFound", "not found", "doesn't have a resource type")):
            raise NotFound(f"`kubectl {' '.join(arguments[:6])}`: {reason:.300}")
        raise ServiceError(f"`kubectl {' '.join(arguments[:6])}` failed: {reason:.300}")

    def get(self, kind: str, name: str = "", *, namespace: str = "", selector: str = "") -> dict[str, Any]:
        """Get one object, or a list of objects (`items`).

        Raises:
            NotFound: The object or kind does not exist.
            ServiceError: As for `run`.
        """
        where = ["-n", namespace] if namespace else ["--all-namespaces"] if not name else []
        picked = ["-l", selector] if selector else []
        made: dict[str, Any] = json.loads(
            self.run("get", kind, *([name] if name else []), *where, *picked, "-o", "json")
        )
        return made

    def current_namespace(self) -> str:
        """Return the context's namespace; empty if it has none."""
        return self.run("config", "view", "--minify", "-o", "jsonpath={..namespace}").strip()


@dataclass(frozen=True, slots=True)
class Target:
    """A port of a service, pod or deployment in the cluster."""

    namespace: str
    name: str
    """`svc/mlflow`, `pod/x` or `deploy/x`."""
    port: int


class Forward:
    """A port of the cluster on this machine, until `close`.

    The connection ends with the pod that it goes to; it is then reopened to another pod.
    """

    def __init__(self, kubectl: Kubectl, target: Target) -> None:
        self._target = target
        self.port = _free_port()
        arguments = [
            "-n",
            target.namespace,
            "port-forward",
            "--address",
            "127.0.0.1",
            target.name,
            f"{self.port}:{target.port}",
        ]
        self._command = kubectl.command(*arguments)
        self._closing = threading.Event()
        self._open = threading.Event()
        self._said = ""
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._keep, name=f"forward-{target.name}", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Address on this machine."""
        return f"http://127.0.0.1:{self.port}"

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait until the port accepts connections.

        Raises:
            ServiceError: It did not in time; the message has kubectl's last line.
        """
        timeout_s = _OPEN_WITHIN_S if timeout_s is None else timeout_s
        if not self._open.wait(timeout_s):
            raise ServiceError(
                f"no connection to {self._target.name} in {self._target.namespace} within {timeout_s:g} s: "
                f"{self._said or 'no output of kubectl'}. "
                "You need permission to get Services and pods there, and to create pods/portforward."
            )

    def close(self) -> None:
        """Stop forwarding."""
        self._closing.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
        self._thread.join(10)

    def _keep(self) -> None:
        while not self._closing.is_set():
            with subprocess.Popen(
                self._command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            ) as process:
                # In its own session: Ctrl-C is for the command that uses the tunnel, which may still need to write.
                self._process = process
                if self._closing.is_set():
                    process.terminate()
                for line in process.stdout or ():
                    if re.match(r"Forwarding from 127\.0\.0\.1:\d+", line):
                        self._open.set()
                    elif not line.startswith("Handling connection"):
                        self._said = line.strip()[:300]
            self._closing.wait(1.0)


@contextmanager
def forwarded(kubectl: Kubectl, target: Target) -> Iterator[str]:
    """Forward a port while the block runs, and yield its local address.

    Raises:
        ServiceError: As for `Forward.wait`.
    """
    forward = Forward(kubectl, target)
    try:
        forward.wait()
        yield forward.url
    finally:
        forward.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
