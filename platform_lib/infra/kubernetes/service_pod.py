"""Pods of the platform's own services, as plain data: environment, security, probes and volumes.

`mlflow/pod.py` and `prefect/pods.py` build on it; `model/pod.py` describes the pod of a model server.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from platform_lib.infra.base.pod_settings import PodSettings
from platform_lib.infra.base.sizing import Resources
from platform_lib.infra.kubernetes.pod_security import container_security_context, pod_security_context, spread

WRITABLE = ("tmp", "artifacts", "ui")


def environment(values: Mapping[str, Any], secrets: Mapping[str, tuple[Any, str]]) -> list[dict[str, Any]]:
    """Build the environment of a container.

    Args:
        values: Name → plain text; empty values are left out.
        secrets: Name → (name of a Secret, key in it).
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
    """Build a container with a read-only root file system and no privileges.

    Args:
        name: Name of the container.
        image: Image reference.
        command: Command and arguments.
        env: List as `environment` returns it.
        mounts: Volume → mount path; read-only unless the volume is in `WRITABLE`.
        size: CPU and memory.
        **more: Further fields of the container, such as probes and ports.
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
    """Build the three probes of an HTTP service on its port `http`.

    Args:
        path: Path of the startup and liveness probes.
        ready_path: Path of the readiness probe; None uses `path`.
        start_s: Seconds that a start may take on a slow node. After it, a process that hangs is restarted.
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
    settings: PodSettings,
    init_containers: Sequence[Mapping[str, Any]] = (),
    needs_api_token: bool = False,
    stop_s: int = 60,
) -> dict[str, Any]:
    """Build the pod template of a Deployment.

    Args:
        labels: Labels of the pod.
        selector: Labels that select the pods of this service.
        containers: As `container` returns them.
        volumes: Name → source of the volume.
        service_account: Name of the service account.
        settings: Nodes, annotations and pull secrets of the stack's pods.
        init_containers: Containers that run to completion first, in this order.
        needs_api_token: Whether the pod calls the Kubernetes API.
        stop_s: Seconds that a stopping pod has to finish its requests.
    """
    spec: dict[str, Any] = {
        "serviceAccountName": service_account,
        "automountServiceAccountToken": needs_api_token,
        "enableServiceLinks": False,  # MLflow would read the Service's MLFLOW_PORT=tcp://… as its own setting
        "securityContext": {**pod_security_context(), "fsGroupChangePolicy": "OnRootMismatch"},
        "terminationGracePeriodSeconds": stop_s,
        "topologySpreadConstraints": spread(selector),
        "containers": [dict(one) for one in containers],
        "volumes": [{"name": name, **source} for name, source in volumes.items()],
    }
    if init_containers:
        spec["initContainers"] = [dict(one) for one in init_containers]
    return settings.applied_to({"metadata": {"labels": dict(labels)}, "spec": spec})
