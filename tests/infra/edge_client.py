"""A client on the internet in front of the edge, and the real model server behind it."""

import json
import os
import socket
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from platform_lib.settings import Project
from tests.infra.edge_lab import Edge
from tests.k8slab.network import Network

DOMAIN = "ml.example.com"
TEAM, MODEL = "team-fraud", "sample-model"
SESSION = {"Cookie": "mlp_session=ada@example.com|churn-team,platform-admins"}
STRANGER = {"Cookie": "mlp_session=eve@example.com|nobody"}


@dataclass(frozen=True)
class EdgeClient:
    """A client on the internet with an API key."""

    edge: Edge
    key: str
    uis: tuple[str, ...]

    def get(self, host: str, path: str = "/", **more: Any) -> httpx.Response:
        with self.edge.https() as client:
            return client.get(f"https://{host}.{DOMAIN}{path}", **more)

    def predict(
        self, path: str = f"/models/{MODEL}/predict", *, key: str | None = None, rows: int = 1
    ) -> httpx.Response:
        headers = {} if key == "" else {"Authorization": f"Bearer {key or self.key}"}
        with self.edge.https() as client:
            return client.post(f"https://models.{DOMAIN}{path}", json={"rows": [{}] * rows}, headers=headers)


def serve(edge: Edge, deployment: dict[str, Any], project: Project, keys: Path) -> None:
    """Start the real model server with the pod's command and settings, apart from address, registry and keys."""
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    given = {
        item["name"]: item["value"]
        for item in container["env"]
        if "value" in item and item["name"] not in ("MLFLOW_TRACKING_URI", "HOME")
    }
    environment = {**os.environ, **given, "MLP_KEYS": str(keys), "MLP_LOG": ""}

    def command(address: str, _ports: Any) -> list[str]:
        words = [address if word == "0.0.0.0" else word for word in container["command"][1:]]
        return ["sh", "-c", 'cd "$0" && exec "$@"', str(project.root), sys.executable, "-m", "platform_lib.cli", *words]

    edge.stand(TEAM, MODEL, command, env=environment)


def is_up(client: EdgeClient) -> bool:
    try:
        return client.predict().status_code in (200, 422)
    except httpx.HTTPError:
        return False


def handshake(network: Network, host: str, *, version: ssl.TLSVersion | None = None, cipher: str = "") -> str:
    """The negotiated cipher."""
    context = ssl.create_default_context(cafile=None)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version or ssl.TLSVersion.TLSv1_3
    if cipher:
        context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(10)
        plain.connect(str(network.door("10.0.0.2", 443)))
        with context.wrap_socket(plain, server_hostname=host) as wrapped:
            return (wrapped.cipher() or ("",))[0]


def sample_row(project: Project) -> dict[str, Any]:
    import pandas

    contract = yaml.safe_load(next((project.root / "conf" / "data").glob("*.yaml")).read_text(encoding="utf-8"))
    table = pandas.read_csv(project.root / "data" / "sample.csv").drop(columns=[contract["target"]])
    row: dict[str, Any] = json.loads(table.head(1).to_json(orient="records"))[0]
    return row


def raw_request(host: str, path: str) -> httpx.Request:
    """Send a request whose path is written exactly as given: clients normalise paths, attackers do not."""
    request = httpx.Request("GET", f"https://{host}.{DOMAIN}/", headers=SESSION)
    request.extensions["target"] = path.encode()
    return request
