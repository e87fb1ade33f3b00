"""Run a container of a resource graph as a local process, with its command, environment, files and probes."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import free_port, server
from tests.infra.harness.graph import Graph, Resource

_PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """A pod template on this machine: every volume is a folder with what Kubernetes would have put into it."""

    spec: Mapping[str, Any]
    folder: Path
    secrets: Mapping[tuple[str, str], str]
    """(Secret, key) → value, for environment variables."""
    ports: Mapping[int, int] = field(default_factory=dict)
    """Port in the container → port here."""

    addresses: Mapping[str, str] = field(default_factory=dict)
    """Address in the cluster → address here."""

    more: Mapping[str, str] = field(default_factory=dict)
    """Environment that Kubernetes, or a smaller limit of a test, adds."""

    def with_address(self, there: str, here: str) -> "Pod":
        """The same pod where another service is elsewhere."""
        return replace(self, addresses={**self.addresses, there: here})

    def container(self, name: str) -> Mapping[str, Any]:
        return next(
            one for one in (*self.spec.get("initContainers", ()), *self.spec["containers"]) if one["name"] == name
        )

    def volume(self, name: str) -> Path:
        return self.folder / name

    def command(self, name: str) -> list[str]:
        """The container's command, with this machine's programs, paths, ports and loopback."""
        container = self.container(name)
        program, *arguments = (self._here(name, text) for text in (*container["command"], *container.get("args", ())))
        found = sys.executable if program == "python" else str(_PROGRAMS / program)
        return [found, *arguments]

    def environment(self, name: str) -> dict[str, str]:
        """Exactly the container's environment, and the machine's PATH."""
        values = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        for entry in self.container(name)["env"]:
            if "value" in entry:
                values[entry["name"]] = self._here(name, entry["value"])
            else:
                reference = entry["valueFrom"]["secretKeyRef"]
                values[entry["name"]] = self.secrets[reference["name"], reference["key"]]
        return values | dict(self.more)

    def probe_url(self, name: str, probe: str) -> str:
        """The URL that the kubelet would probe."""
        container = self.container(name)
        get = container[probe]["httpGet"]
        declared = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
        number = declared.get(get["port"], get["port"])
        return f"http://127.0.0.1:{self.ports.get(number, number)}{get['path']}"

    def _here(self, name: str, text: str) -> str:
        mounts = {mount["mountPath"]: mount["name"] for mount in self.container(name)["volumeMounts"]}
        for path in sorted(mounts, key=len, reverse=True):
            if text == path or text.startswith(f"{path}/"):
                return str(self.volume(mounts[path])) + text.removeprefix(path)
        for there, here in self.addresses.items():
            text = text.replace(there, here)
        if text == "0.0.0.0":
            return "127.0.0.1"
        return str(self.ports[int(text)]) if text.isdigit() and int(text) in self.ports else text

    def run(self, name: str, *, timeout_s: float = 120) -> str:
        """Run a container to its end, as an init container is."""
        done = subprocess.run(
            self.command(name),
            env=self.environment(name),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, (
            f"{name} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        )
        return done.stdout + done.stderr

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Run a container until the block ends; all its probes have succeeded when the block begins."""
        probes = [
            self.probe_url(name, probe)
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
            if probe in self.container(name)
        ]
        with ExitStack() as stack:
            stack.enter_context(
                server(self.command(name), probes[0], self.folder / f"{name}.log", env=self.environment(name))
            )
            for url in probes[1:]:
                assert httpx.get(url, timeout=10).status_code == 200, url
            yield


def place(
    graph: Graph,
    deployment: Resource,
    folder: Path,
    *,
    secrets: Mapping[tuple[str, str], str],
    ports: Sequence[int] = (),
) -> Pod:
    """Lay the volumes of a Deployment's pods out below `folder`.

    Args:
        secrets: Values of Secrets that other components make.
        ports: The container's ports; each gets a free one here.
    """
    spec = deployment.inputs["spec"]["template"]["spec"]
    own = {
        (secret.inputs["metadata"]["name"], key): str(value)
        for secret in graph.kubernetes("Secret")
        for key, value in secret.inputs.get("stringData", {}).items()
    }
    for volume in spec["volumes"]:
        target = folder / volume["name"]
        target.mkdir(parents=True)
        if "configMap" in volume:
            data = _config_map(graph, volume["configMap"]["name"])
            items = volume["configMap"].get("items") or [{"key": key, "path": key} for key in data]
            for item in items:
                (target / item["path"]).parent.mkdir(parents=True, exist_ok=True)
                (target / item["path"]).write_text(data[item["key"]], encoding="utf-8")
        if "secret" in volume:
            for (name, key), value in own.items():
                if name == volume["secret"]["secretName"]:
                    (target / key).write_text(value, encoding="utf-8")
    return Pod(spec=spec, folder=folder, secrets={**own, **secrets}, ports={port: free_port() for port in ports})


def _config_map(graph: Graph, name: str) -> Mapping[str, str]:
    found = [one for one in graph.kubernetes("ConfigMap") if (one.outputs.get("metadata") or {}).get("name") == name]
    assert len(found) == 1, f"{len(found)} ConfigMaps are named {name!r}"
    data: Mapping[str, str] = found[0].inputs["data"]
    return data
