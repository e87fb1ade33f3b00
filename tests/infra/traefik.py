"""The command line that the Traefik chart creates from its values, for a real Traefik process.

Derived from the chart's templates. An unknown value is an error, so that the edge tests never run another Traefik
than the one that a user gets.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.infra.chart_stubs.charts import CHARTS, facts

# What becomes pods and objects, not arguments.
OBJECTS = {
    "affinity", "autoscaling", "commonLabels", "deployment", "image", "ingressClass", "nodeSelector", "persistence",
    "podDisruptionBudget", "podSecurityContext", "priorityClassName", "rbac", "resources", "securityContext",
    "service", "serviceAccount", "tolerations", "topologySpreadConstraints", "updateStrategy", "env", "volumes",
    "additionalVolumeMounts", "gateway", "gatewayClass", "ingressRoute", "fullnameOverride", "nameOverride",
}  # fmt: skip
PORT_OBJECTS = {
    "port",
    "expose",
    "exposedPort",
    "protocol",
    "hostPort",
    "hostIP",
    "nodePort",
    "targetPort",
    "appProtocol",
    "containerPort",
}
READ = {"kubernetesCRD", "kubernetesIngress"}
CHECKED = {
    "accessLog",
    "additionalArguments",
    "api",
    "core",
    "global",
    "log",
    "metrics",
    "ports",
    "providers",
    "tlsOptions",
    "tlsStore",
}


def merged(base: Any, over: Any) -> Any:
    """Helm's way: maps are merged, everything else is replaced."""
    if isinstance(base, dict) and isinstance(over, Mapping):
        return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}
    return over


def _flags(path: str, value: Any) -> Iterator[str]:
    """`--a.b=value` of every leaf that is set; a section with `enabled` is there or not."""
    if isinstance(value, Mapping):
        if value.get("enabled") is False:
            return
        if value.get("enabled") is True:
            yield f"--{path}=true"
        for key, inner in value.items():
            if key != "enabled":
                yield from _flags(f"{path}.{key}", inner)
    elif isinstance(value, list):
        if value:
            yield f"--{path}={','.join(str(item) for item in value)}"
    elif isinstance(value, bool):
        yield f"--{path}={str(value).lower()}"
    elif value not in (None, ""):
        yield f"--{path}={value}"


def arguments(values: Mapping[str, Any], address: str, namespace: str) -> list[str]:
    """The arguments of the chart with these values, its entry points bound to the pod's address.

    Raises:
        AssertionError: A value that this file does not know.
    """
    unknown = set(values) - OBJECTS - CHECKED
    assert not unknown, f"unknown values of the Traefik chart: {sorted(unknown)}. Read its templates and add them here"
    assert not values.get("tlsOptions") and not values.get("tlsStore"), (
        "the chart would make TLS objects of these values; the stub does not"
    )
    defaults = json.loads(
        (facts() / "defaults" / f"traefik_{CHARTS['traefik'].version}.defaults.json").read_text(encoding="utf-8")
    )
    whole = merged(defaults, values)
    made = ["--global.checkNewVersion=false", "--global.sendAnonymousUsage=false", "--ping=true"]
    made += _flags("providers.kubernetesCRD", whole["providers"]["kubernetesCRD"])
    ingress = dict(whole["providers"]["kubernetesIngress"])
    published = ingress.pop("publishedService", None) or {}
    if ingress["enabled"]:
        made += _flags("providers.kubernetesIngress", ingress)
        if published.get("enabled"):
            made.append(f"--providers.kubernetesIngress.ingressEndpoint.publishedService={namespace}/traefik")
    others = sorted(
        name
        for name, one in whole["providers"].items()
        if name not in READ and isinstance(one, dict) and one.get("enabled")
    )
    assert not others, f"providers {others} are on: say here what the chart makes of them"
    made += _flags("log", whole["log"])
    made += _flags("accessLog", whole["accessLog"])
    made += _flags("core", whole["core"])
    prometheus = {
        key: value
        for key, value in whole["metrics"]["prometheus"].items()
        if key not in ("service", "serviceMonitor", "prometheusRule", "disableAPICheck")
    }
    made += ["--metrics.prometheus=true", *_flags("metrics.prometheus", prometheus)]
    if whole["api"].get("dashboard"):
        made.append("--api.dashboard=true")
    for name, port in whole["ports"].items():
        if port is not None:
            made += _entry_point(name, port, whole["ports"], address)
    return [
        *(flag for flag in made if not flag.endswith("=false") or _is_given(values, flag)),
        *whole["additionalArguments"],
    ]


def _is_given(values: Any, flag: str) -> bool:
    """Whether somebody wrote the value: a default of false makes no argument."""
    for key in flag.removeprefix("--").partition("=")[0].replace("entryPoints.", "ports.", 1).split("."):
        if not isinstance(values, Mapping) or key not in values:
            return False
        values = values[key]
    return True


def _entry_point(name: str, port: Mapping[str, Any], ports: Mapping[str, Any], address: str) -> Iterator[str]:
    path = f"entryPoints.{name}"
    yield f"--{path}.address={address}:{port['port']}/{str(port['protocol']).lower()}"
    rest = {key: value for key, value in port.items() if key not in PORT_OBJECTS}
    if rest.pop("asDefault", None):
        yield f"--{path}.asDefault=true"
    http = dict(rest.pop("http", None) or {})
    redirection = (http.pop("redirections", None) or {}).get("entryPoint") or {}
    if redirection:
        yield from _flags(
            f"{path}.http.redirections.entryPoint", redirection | {"to": f":{ports[redirection['to']]['exposedPort']}"}
        )
    yield from _flags(f"{path}.http", http)
    yield from _flags(path, rest)
