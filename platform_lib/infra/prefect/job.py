"""The Kubernetes Job that a flow run becomes: Prefect's base job template, as data. `prefect_server` puts it into each team's work pool.

A deployment names the project's `train` image; it runs with the team's own identity, within limits, and ends by itself.
"""

from typing import Any

from platform_lib.infra.kubernetes.pod_security import (
    container_security_context,
    mlflow_credentials,
    pod_security_context,
)

SERVICE_ACCOUNT = "train"
"""In each team's namespace: what training pods run as. It may ask the Kubernetes API nothing."""
PENDING_LIMIT_S = 900
_VARIABLES: dict[str, tuple[str, Any, str]] = {
    "name": ("string", None, "Name of the run; Prefect's."),
    "command": ("string", None, "Command of the container; Prefect's own where nothing is said."),
    "env": ("object", {}, "Further environment variables."),
    "labels": ("object", {}, "Labels of the Job; Prefect's."),
    "annotations": ("object", {}, "Annotations of the Job."),
    "image": ("string", None, "The project's train image, by digest: registry/name@sha256:…"),
    "cpu": ("string", "1", "CPUs that the run asks for, and four times as many as it may use where they are free."),
    "cpu_limit": ("string", "4", "CPUs that the run may use."),
    "memory": ("string", "2Gi", "Memory that the run gets."),
    "scratch": ("string", "10Gi", "Space for files while it runs."),
    "run_limit_seconds": (
        "integer",
        6 * 3600,
        "Seconds after which the run ends as crashed, the wait for a node included.",
    ),
    "backoff_limit": (
        "integer",
        0,
        "Pods that Kubernetes starts anew after one died; a flow's own retries are Prefect's.",
    ),
    "finished_job_ttl": ("integer", 24 * 3600, "Seconds that the ended Job and its pod's log are kept."),
    "pod_watch_timeout_seconds": ("integer", PENDING_LIMIT_S, "Seconds that the worker waits for the pod to start."),
    "job_watch_timeout_seconds": (
        "integer",
        None,
        "Seconds that the worker waits for the Job; the run limit holds anyway.",
    ),
    "stream_output": ("boolean", True, "Whether the worker repeats the pod's log."),
}


def base_job_template(namespace: str, *, mlflow_url: str, prefect_api_url: str) -> dict[str, Any]:
    """Job configuration and the variables that a deployment may set; all else is fixed.

    Args:
        namespace: The team's.
    """
    properties: dict[str, Any] = {}
    for name, (kind, default, text) in _VARIABLES.items():
        optional = default is None and name != "image"
        typed: dict[str, Any] = {"anyOf": [{"type": kind}, {"type": "null"}]} if optional else {"type": kind}
        if kind == "object":
            typed["additionalProperties"] = {"type": "string"}
        properties[name] = {"title": name.replace("_", " ").capitalize(), "description": text, **typed}
        if name != "image":
            properties[name]["default"] = default
    placeholders = {
        name: f"{{{{ {name} }}}}"
        for name in (
            "name",
            "command",
            "env",
            "labels",
            "annotations",
            "pod_watch_timeout_seconds",
            "job_watch_timeout_seconds",
            "stream_output",
        )
    }
    manifest = _manifest(namespace, mlflow_url, prefect_api_url)
    return {
        "job_configuration": {**placeholders, "namespace": namespace, "cluster_config": None, "job_manifest": manifest},
        "variables": {"type": "object", "required": ["image"], "properties": properties},
    }


def _manifest(namespace: str, mlflow_url: str, prefect_api_url: str) -> dict[str, Any]:
    fixed = {
        "HOME": "/tmp",
        "USER": SERVICE_ACCOUNT,
        "MLFLOW_TRACKING_URI": mlflow_url,
        "PREFECT_API_URL": prefect_api_url,
        "PREFECT_HOME": "/tmp/prefect",
    }
    container = {
        "name": "prefect-job",
        "image": "{{ image }}",
        "args": "{{ command }}",
        # The worker adds Prefect's own variables and the deployment's, which hold where both say something.
        "env": [*({"name": name, "value": value} for name, value in fixed.items()), *mlflow_credentials()],
        "resources": {
            "requests": {"cpu": "{{ cpu }}", "memory": "{{ memory }}", "ephemeral-storage": "{{ scratch }}"},
            "limits": {"cpu": "{{ cpu_limit }}", "memory": "{{ memory }}", "ephemeral-storage": "{{ scratch }}"},
        },
        "securityContext": container_security_context(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    pod = {
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": pod_security_context(),
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "{{ scratch }}"}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "generateName": "{{ name }}-",
            "namespace": namespace,
            "labels": "{{ labels }}",
            "annotations": "{{ annotations }}",
        },
        "spec": {
            "backoffLimit": "{{ backoff_limit }}",
            "activeDeadlineSeconds": "{{ run_limit_seconds }}",
            "ttlSecondsAfterFinished": "{{ finished_job_ttl }}",
            "parallelism": 1,
            "completions": 1,
            "template": {"spec": pod},
        },
    }
