"""The login as people meet it: real Traefik and real oauth2-proxy with the stack's objects, and a small OIDC issuer.

Traefik reads the graph's routes and middlewares from a file instead of a cluster; everything listens on loopback.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import REPOSITORY
from tests.engines import need_engine
from tests.infra import fake_services
from tests.infra.certificates import Authority
from tests.infra.harness.graph import Graph
from tests.infra.stacks import run_stack
from tests.k8slab.lab import free_ports
from tests.security.processes import Processes
from tests.waiting import wait_until

DOMAIN = "ml.example.com"
MODEL = {"kind": "Rule", "match": f"Host(`models.{DOMAIN}`) && PathPrefix(`/models/churn/`)", "middlewares": ["edge"]}


@dataclass(frozen=True)
class LoginLab:
    """Addresses of the running parts, and clients."""

    port: int
    issuer: str
    authority: Authority
    arguments: list[str]
    """Of oauth2-proxy."""

    @contextmanager
    def browser(self) -> Iterator[httpx.Client]:
        """A client with cookies, in whose DNS every host of the platform is Traefik."""
        with httpx.Client(transport=_Loopback(self.port, self.authority), trust_env=False, timeout=30) as client:
            yield client

    def issued(self, path: str) -> list[dict[str, Any]]:
        """Requests to a path of the issuer, in order."""
        found: list[dict[str, Any]] = httpx.get(f"{self.issuer}/log", trust_env=False).json()
        return [one for one in found if one["path"] == path]

    def next_claims(self, **claims: Any) -> None:
        """Claims in the tokens that the issuer makes from now on."""
        httpx.get(f"{self.issuer}/claims", params={"set": json.dumps(claims)}, trust_env=False).raise_for_status()


class _Loopback(httpx.BaseTransport):
    """Sends requests for the platform's hosts to Traefik, with the host's name in TLS, and others as they are."""

    def __init__(self, port: int, authority: Authority) -> None:
        self._port, self._plain = port, httpx.HTTPTransport(verify=authority.context())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        if host.endswith(DOMAIN):
            request = httpx.Request(
                request.method,
                request.url.copy_with(host="127.0.0.1", port=self._port),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
        return self._plain.handle_request(request)

    def close(self) -> None:
        self._plain.close()


@contextmanager
def login_lab(folder: Path, claims: Mapping[str, Any], *, life_s: int = 300, refresh: str = "", **settings: Any) -> Any:
    """Run the login of the team example.

    Args:
        folder: For configuration and logs.
        claims: Claims in the issuer's tokens.
        life_s: Life of the issuer's tokens.
        refresh: Age at which a session is refreshed, such as `1s`; empty is the stack's own, which is minutes.
        settings: Settings of the stack.
    """
    graph = run_stack("team", **settings)
    issuer_port, proxy_port, check_port, port, *uis = free_ports(8)
    issuer = f"http://127.0.0.1:{issuer_port}"
    proxy = _proxy_arguments(graph, folder, issuer, proxy_port, refresh)
    services = dict(zip(("mlflow", "prefect-server", "kube-prometheus-stack-grafana", "churn"), uis, strict=True))
    authority = Authority(folder)
    check = _check_arguments(graph, proxy, check_port)
    own = {"oauth2-proxy": proxy_port, "oauth2-proxy-groups": check_port}
    _write_traefik(graph, folder, authority, {**services, **own})
    with Processes(folder) as processes:
        os.environ.setdefault("PYTHONPATH", str(REPOSITORY))
        command = [sys.executable, "-m", "tests.infra.edge.oidc_issuer", str(issuer_port)]
        processes.start("issuer", [*command, json.dumps(dict(claims)), str(life_s)])
        wait_until(lambda: _answers(f"{issuer}/log"), processes.tails())
        for name, at in services.items():
            script = str(Path(fake_services.__file__))
            processes.start(name, [sys.executable, "-S", script, "echo", "127.0.0.1", str(at), name])
            wait_until(partial(_answers, f"http://127.0.0.1:{at}/"), processes.tails())
        processes.start("proxy", [str(need_engine("oauth2-proxy")), *proxy])
        processes.start("groups", [str(need_engine("oauth2-proxy")), *check])
        static = [
            f"--entryPoints.websecure.address=127.0.0.1:{port}",
            "--entryPoints.websecure.http.tls=true",
            f"--providers.file.filename={folder / 'traefik.yaml'}",
            "--global.checkNewVersion=false",
            "--global.sendAnonymousUsage=false",
        ]
        processes.start("traefik", [str(need_engine("traefik")), *static])
        lab = LoginLab(port, issuer, authority, proxy)
        for at in own.values():
            wait_until(partial(_answers, f"http://127.0.0.1:{at}/ping"), processes.tails())

        def is_up() -> bool:
            with lab.browser() as client:
                try:
                    return client.get(f"https://mlflow.{DOMAIN}/").status_code == 302
                except httpx.HTTPError:
                    return False

        wait_until(is_up, processes.tails())
        yield lab


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _values(graph: Graph) -> Any:
    [values] = [
        r.inputs["values"] for r in graph.resources if r.inputs.get("name") == "oauth2-proxy" and "values" in r.inputs
    ]
    return values


def _proxy_arguments(graph: Graph, folder: Path, issuer: str, port: int, refresh: str) -> list[str]:
    """The chart's arguments and configuration file for the release's values."""
    values = _values(graph)
    config = values["config"]
    (folder / "proxy.cfg").write_text(
        f"email_domains = {json.dumps(config['emailDomains'])}\nupstreams = {json.dumps(config['upstreams'])}\n",
        encoding="utf-8",
    )
    own = {
        **values["extraArgs"],
        "oidc-issuer-url": issuer,  # real ones have https
        "http-address": f"127.0.0.1:{port}",
        "cookie-name": config["cookieName"],
        "client-id": "ml-platform",
        "client-secret": "secret",
        "cookie-secret": "0123456789abcdef0123456789abcdef",
        "basic-auth-password": "edge-password",
        **({"cookie-refresh": refresh} if refresh else {}),
    }
    emails = values.get("authenticatedEmailsFile") or {}
    if emails.get("enabled"):
        (folder / "emails").write_text(emails["restricted_access"], encoding="utf-8")
        own["authenticated-emails-file"] = str(folder / "emails")
    own = {key: value.replace("https://login.example.com/realms/ml", issuer) for key, value in own.items()}
    return [*(f"--{key}={value}" for key, value in own.items()), f"--config={folder / 'proxy.cfg'}"]


def _check_arguments(graph: Graph, proxy: list[str], port: int) -> list[str]:
    """The arguments of the second container, with the addresses and secrets of the first."""
    local = dict(option.split("=", 1) for option in proxy if not option.startswith("--config"))
    [container] = _values(graph)["extraContainers"]
    given = dict(option.split("=", 1) for option in container["args"])
    secrets = {
        key: local[key] for key in ("--client-id", "--client-secret", "--cookie-secret", "--basic-auth-password")
    }
    return [
        f"{key}={value}"
        for key, value in {
            **given,
            **secrets,
            "--oidc-issuer-url": local["--oidc-issuer-url"],
            "--http-address": f"127.0.0.1:{port}",
        }.items()
    ]


def _write_traefik(graph: Graph, folder: Path, authority: Authority, ports: Mapping[str, int]) -> None:
    """The graph's routes and middlewares as Traefik's file provider reads them."""
    middlewares = {
        f"{one.namespace}-{one.inputs['metadata']['name']}": _local(one.inputs["spec"], ports)
        for one in graph.kubernetes("Middleware")
    }
    routers: dict[str, Any] = {}
    routes = [
        (one.namespace, one.inputs["metadata"]["name"], route)
        for one in graph.kubernetes("IngressRoute")
        for route in one.inputs["spec"]["routes"]
    ]
    model = {"match": MODEL["match"], "middlewares": [{"name": "edge"}], "services": [{"name": "churn"}]}
    for number, (namespace, name, route) in enumerate([*routes, ("team-churn", "model", model)]):
        service = route["services"][0]["name"]
        if service not in ports or (service == "prefect-server" and namespace != "mlp-prefect"):
            continue
        used = [f"{namespace}-{one['name']}" for one in route.get("middlewares") or []]
        routers[f"{namespace}-{name}-{number}"] = {
            "rule": route["match"], "service": service, "middlewares": used, "priority": route.get("priority", 0), "entryPoints": ["websecure"], "tls": {},
        }  # fmt: skip
    hosts = re.findall(r"Host\(`([^`]+)`\)", json.dumps(routers))
    (folder / "tls.crt").write_bytes((pair := authority.issue("edge", sorted(set(hosts))))[0])
    (folder / "tls.key").write_bytes(pair[1])
    made = {
        "http": {
            "routers": routers,
            "middlewares": {name: spec for name, spec in middlewares.items() if "basicAuth" not in spec},
            "services": {
                name: {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{port}"}]}}
                for name, port in ports.items()
            },
        },
        "tls": {"certificates": [{"certFile": str(folder / "tls.crt"), "keyFile": str(folder / "tls.key")}]},
    }
    (folder / "traefik.yaml").write_text(json.dumps(made), encoding="utf-8")


def _local(spec: Mapping[str, Any], ports: Mapping[str, int]) -> Any:
    text = json.dumps(spec, default=str)
    for name in ("oauth2-proxy", "oauth2-proxy-groups"):
        text = text.replace(f"http://{name}.mlp-auth/", f"http://127.0.0.1:{ports[name]}/")
    return json.loads(text)
