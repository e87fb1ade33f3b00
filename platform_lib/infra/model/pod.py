"""The pod of a model server: its command, environment, probes, limits and rights, as data. `model_endpoint` puts it into a Deployment."""

from typing import Any

from platform_lib.infra.kubernetes.pod_security import (
    container_security_context,
    mlflow_credentials,
    pod_security_context,
    spread,
)
from platform_lib.names import Port, SharedOutputs

CONTAINER = "server"
_DRAIN_S = 5
"""How long a pod goes on answering after it was told to end, until Traefik and kube-proxy know."""
_LOG_MOUNT = "/var/log/mlp"


def server_command(reference: str, workers: int) -> list[str]:
    """What the container runs; tests run the same here."""
    command = [
        "mlp",
        "serve",
        reference,
        "--host",
        "0.0.0.0",
        "--port",
        str(Port.MODEL_SERVER),
        "--metrics-port",
        str(Port.METRICS),
    ]
    return [*command, "--workers", str(workers)]


def server_environment(
    shared: SharedOutputs, *, model: str, namespace: str, log: str, oidc_issuer: str = "", oidc_audience: str = ""
) -> list[dict[str, Any]]:
    """Settings of the process. Secrets are named, never written.

    Args:
        log: `auto` (the platform's place, where it has one), `volume` or `off`.
    """
    place = (
        _LOG_MOUNT
        if log == "volume"
        else f"{shared.request_log_uri.rstrip('/')}/{namespace}/{model}"
        if log == "auto" and shared.request_log_uri
        else ""
    )
    values = {
        "HOME": "/tmp",
        "MLFLOW_TRACKING_URI": shared.mlflow_url,
        "MLP_KEYS": "/etc/mlp/keys/keys.yaml",
        "MLP_LOG": place,
        "MLP_LOG_FORMAT": "json",
        "MLP_OIDC_ISSUER": oidc_issuer,
        "MLP_OIDC_AUDIENCE": oidc_audience,
        "PYTHONUNBUFFERED": "1",
    }
    return [*({"name": name, "value": value} for name, value in values.items() if value), *mlflow_credentials()]


def pod_template(
    *,
    labels: dict[str, str],
    selector: dict[str, str],
    service_account: Any,
    image: Any,
    command: list[str],
    environment: Any,
    keys_config_map: Any,
    cpu_request: str,
    cpu_limit: str,
    memory: str,
    log_claim: Any = None,
    log_credentials_secret: str | None = None,
) -> dict[str, Any]:
    """The pod template. What comes from other resources may be an Output.

    Args:
        memory: Request and limit alike, so that a full node ends no model.
        log_claim: Volume claim of the request log, where it stays on a volume.
        log_credentials_secret: Secret whose keys become environment variables, such as AWS_ACCESS_KEY_ID, for a log in a bucket.
    """
    volumes: list[dict[str, Any]] = [
        {"name": "keys", "configMap": {"name": keys_config_map}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}},  # a version is fetched into it beside the one that serves
    ]
    mounts: list[dict[str, Any]] = [
        {"name": "keys", "mountPath": "/etc/mlp/keys", "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    if log_claim is not None:
        volumes.append({"name": "log", "persistentVolumeClaim": {"claimName": log_claim}})
        mounts.append({"name": "log", "mountPath": _LOG_MOUNT})
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": image,
        "command": command,
        "env": environment,
        "ports": [
            {"name": "http", "containerPort": int(Port.MODEL_SERVER)},
            {"name": "metrics", "containerPort": int(Port.METRICS)},
        ],
        # Two minutes to import libraries on a slow node; from then on a process that hangs is replaced, and one without a model gets no requests.
        "startupProbe": {**_get("/healthz"), "periodSeconds": 2, "failureThreshold": 60},
        "livenessProbe": {**_get("/healthz"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "readinessProbe": {**_get("/readyz"), "periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 2},
        "lifecycle": {"preStop": {"sleep": {"seconds": _DRAIN_S}}},
        "resources": {
            "requests": {"cpu": cpu_request, "memory": memory, "ephemeral-storage": "256Mi"},
            "limits": {"cpu": cpu_limit, "memory": memory, "ephemeral-storage": "3Gi"},
        },
        "securityContext": container_security_context(),
        "volumeMounts": mounts,
    }
    if log_credentials_secret is not None:
        container["envFrom"] = [{"secretRef": {"name": log_credentials_secret}}]
    spec: dict[str, Any] = {
        "serviceAccountName": service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security_context(),
        # The server takes ten seconds for requests in flight, and the log's last rows have to be written.
        "terminationGracePeriodSeconds": _DRAIN_S + 40,
        "topologySpreadConstraints": spread(selector),
        "containers": [container],
        "volumes": volumes,
    }
    return {"metadata": {"labels": labels}, "spec": spec}


def _get(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "http"}}
