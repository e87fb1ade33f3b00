"""The pod of a model server, as plain data: command, environment, probes, resources and security."""

from dataclasses import replace
from typing import Any

from platform_lib.infra.base.pod_settings import PodSettings
from platform_lib.infra.kubernetes.pod_security import (
    container_security_context,
    mlflow_credentials,
    pod_security_context,
    spread,
)
from platform_lib.names import POD_READY_PATH, Env, Port, SharedOutputs

CONTAINER = "server"
_DRAIN_S = 5
"""Seconds that a stopping pod keeps serving, until Traefik and kube-proxy stop sending it requests."""
_LOG_MOUNT = "/var/log/mlp"


def server_command(reference: str, workers: int) -> list[str]:
    """Return the command of the container; tests run the same command."""
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
    shared: SharedOutputs,
    *,
    model: str,
    namespace: str,
    log: str,
    oidc_issuer: str = "",
    oidc_audience: str = "",
    has_own_keys: bool = False,
    has_signers: bool = False,
    signatures: str = "",
    cors_allowed_origins: tuple[str, ...] = (),
) -> list[dict[str, Any]]:
    """Build the environment of the server. Secrets are referenced, never written.

    Args:
        shared: Outputs of the shared stack.
        model: Registered name.
        namespace: Namespace of the endpoint.
        log: `auto` (the platform's bucket, if it has one), `volume` or `off`.
        oidc_issuer: Issuer of accepted tokens; empty accepts API keys only.
        oidc_audience: Audience of accepted tokens.
        has_own_keys: Whether another Secret has the keys of the bucket.
        has_signers: Whether the keys' ConfigMap also holds `signing.pub`.
        signatures: `off`, `warn` or `require`; empty is the server's default.
        cors_allowed_origins: Origins whose pages may call the server from a browser.
    """
    place = (
        _LOG_MOUNT
        if log == "volume"
        else f"{shared.request_log_uri.rstrip('/')}/{namespace}/{model}"
        if log == "auto" and shared.request_log_uri
        else ""
    )
    in_bucket = place.startswith("s3://")
    values = {
        "HOME": "/tmp",
        "MLFLOW_TRACKING_URI": shared.mlflow_url,
        Env.KEYS: "/etc/mlp/keys/keys.yaml",
        Env.SIGNERS: "/etc/mlp/keys/signing.pub" if has_signers else "",
        Env.SIGNATURES: signatures,
        Env.LOG: place,
        Env.LOG_FORMAT: "json",
        "AWS_ENDPOINT_URL": shared.request_log_endpoint if in_bucket else "",
        "AWS_REGION": shared.request_log_region if in_bucket else "",
        Env.OIDC_ISSUER: oidc_issuer,
        Env.OIDC_AUDIENCE: oidc_audience,
        Env.CORS_ALLOWED_ORIGINS: " ".join(cors_allowed_origins),
        "PYTHONUNBUFFERED": "1",
    }
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if in_bucket and not has_own_keys else ()
    secret = shared.request_log_store
    return [
        *({"name": name, "value": value} for name, value in values.items() if value),
        *({"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}} for key in keys if secret),
        *mlflow_credentials(),
    ]


def pull_secrets(shared: SharedOutputs, own: PodSettings) -> list[dict[str, str]]:
    """Return the `imagePullSecrets` of the service account: the platform's, then the endpoint's own."""
    names = [*shared.registry_logins.split(), *own.pull_secrets]
    return [{"name": name} for name in dict.fromkeys(names)]


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
    gpus: int = 0,
    settings: PodSettings | None = None,
    log_claim: Any = None,
    log_credentials_secret: str | None = None,
) -> dict[str, Any]:
    """Build the pod template. Values from other resources may be Outputs.

    Args:
        labels: Labels of the pod.
        selector: Labels that select the pods of this endpoint.
        service_account: Name of the service account.
        image: The `serve` image.
        command: As `server_command` returns it.
        environment: As `server_environment` returns it.
        keys_config_map: Name of the ConfigMap with `keys.yaml`, and `signing.pub` if there are signers.
        cpu_request: CPU request, such as `500m`.
        cpu_limit: CPU limit.
        memory: Memory request and limit. They are equal, so that a full node does not kill the server.
        gpus: GPUs per replica.
        settings: Nodes and annotations. The service account has the pull secrets.
        log_claim: Name of the volume claim for the request log; None if it is not on a volume.
        log_credentials_secret: Name of a Secret with the environment variables for a log in a bucket, such as
            AWS_ACCESS_KEY_ID; None if there is none.
    """
    volumes: list[dict[str, Any]] = [
        {"name": "keys", "configMap": {"name": keys_config_map}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}},  # holds the serving version and the next one
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
        # A slow node gets two minutes to import libraries. After that, a server that hangs is restarted, and a server
        # that could not load its model receives no requests.
        "startupProbe": {**_get("/healthz"), "periodSeconds": 2, "failureThreshold": 60},
        "livenessProbe": {**_get("/healthz"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "readinessProbe": {**_get(POD_READY_PATH), "periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 2},
        "lifecycle": {"preStop": {"sleep": {"seconds": _DRAIN_S}}},
        "resources": {
            "requests": {"cpu": cpu_request, "memory": memory, "ephemeral-storage": "256Mi"},
            "limits": {
                "cpu": cpu_limit,
                "memory": memory,
                "ephemeral-storage": "3Gi",
                **({"nvidia.com/gpu": str(gpus)} if gpus else {}),  # a request is the limit: GPUs cannot be shared
            },
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
        # The server gives requests in flight as long as a request may take, then writes the last rows of the log.
        "terminationGracePeriodSeconds": _DRAIN_S + 40,
        "topologySpreadConstraints": spread(selector),
        "containers": [container],
        "volumes": volumes,
    }
    placed = replace(settings, pull_secrets=()) if settings else PodSettings()
    return placed.applied_to({"metadata": {"labels": labels}, "spec": spec})


def _get(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "http"}}
