"""What the pods of the platform's own services have in common: rights, environment, probes, volumes, as data.

`mlflow_server` and `prefect_server` put it into their Deployments; a model server's pod is `model_pod`'s.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from platform_lib.infra.base.sizing import Resources
from platform_lib.infra.kubernetes.pod_security import container_security_context, pod_security_context, spread

WRITABLE = ("tmp", "artifacts", "ui")


def environment(values: Mapping[str, Any], secrets: Mapping[str, tuple[Any, str]]) -> list[dict[str, Any]]:
    """Environment of a container.

    Args:
        values: Name → text, which everybody may read.
        secrets: Name → (Secret, key).
    """
    plain = [{"name": name, "value": value} for name, value in values.items() if value != ""]
    named = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
        for name, (secret, key) in secrets.items()
    ]
    return plain + named


def container(
    name: str, image: Any, command: Sequence[Any], env: Any, mounts: Mapping[str, str], size: Resources, **more: Any
) -> dict[str, Any]:
    """A container with a read-only root and no rights.

    Args:
        mounts: Volume → where it lies; all but those of WRITABLE are read-only.
    """
    required = size.requirements
    return {
        "name": name,
        "image": image,
        "command": list(command),
        "env": env,
        "resources": {
            "requests": {**required["requests"], "ephemeral-storage": "256Mi"},
            "limits": {**required["limits"], "ephemeral-storage": "3Gi"},
        },
        "securityContext": container_security_context(),
        "volumeMounts": [
            {"name": volume, "mountPath": path, **({} if volume in WRITABLE else {"readOnly": True})}
            for volume, path in mounts.items()
        ],
        **more,
    }


def probes(path: str, *, ready_path: str | None = None, start_s: int = 300) -> dict[str, Any]:
    """The three probes of an HTTP service on its port `http`.

    Args:
        start_s: Seconds that a start may take on a slow node; from then on a process that hangs is replaced.
    """

    def get(where: str) -> dict[str, Any]:
        return {"httpGet": {"path": where, "port": "http"}}

    return {
        "startupProbe": {**get(path), "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": start_s // 5},
        "livenessProbe": {**get(path), "periodSeconds": 15, "timeoutSeconds": 10, "failureThreshold": 6},
        "readinessProbe": {**get(ready_path or path), "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3},
    }


def monitor_spec(selector: Mapping[str, str], path: str, secret: Any) -> dict[str, Any]:
    """Build the spec of a ServiceMonitor that scrapes port `http` every 30 seconds.

    Args:
        selector: Labels of the Service.
        path: Where the metrics are.
        secret: Name of a Secret with `username` and `password`.
    """
    credentials = {key: {"name": secret, "key": key} for key in ("username", "password")}
    endpoint = {"port": "http", "path": path, "interval": "30s", "basicAuth": credentials}
    return {"selector": {"matchLabels": dict(selector)}, "endpoints": [endpoint]}


def pod_template(
    labels: Mapping[str, str],
    selector: Mapping[str, str],
    containers: Sequence[Mapping[str, Any]],
    volumes: Mapping[str, Mapping[str, Any]],
    *,
    service_account: Any,
    init_containers: Sequence[Mapping[str, Any]] = (),
    needs_api_token: bool = False,
    stop_s: int = 60,
) -> dict[str, Any]:
    """The pod template of a Deployment.

    Args:
        needs_api_token: Whether the pod asks the Kubernetes API.
        stop_s: Seconds that requests in flight get at the end.
    """
    spec: dict[str, Any] = {
        "serviceAccountName": service_account,
        "automountServiceAccountToken": needs_api_token,
        "enableServiceLinks": False,  # MLFLOW_PORT=tcp://… of the Service would be read as a setting
        "securityContext": {**pod_security_context(), "fsGroupChangePolicy": "OnRootMismatch"},
        "terminationGracePeriodSeconds": stop_s,
        "topologySpreadConstraints": spread(selector),
        "containers": [dict(one) for one in containers],
        "volumes": [{"name": name, **source} for name, source in volumes.items()],
    }
    if init_containers:
        spec["initContainers"] = [dict(one) for one in init_containers]
    return {"metadata": {"labels": dict(labels)}, "spec": spec}
