"""Prefect's base job template, as plain data: the Kubernetes Job that runs a flow.

A deployment names the project's `train` image. The Job runs with the team's identity, within limits, and ends after a
maximum time.
"""

from typing import Any

from platform_lib.infra.kubernetes.pod_security import (
    container_security_context,
    mlflow_credentials,
    pod_security_context,
)
from platform_lib.names import TRAINING_SECRET

SERVICE_ACCOUNT = "train"
"""Service account of training pods in each team's namespace. It has no permissions in the Kubernetes API."""
PENDING_LIMIT_S = 900
GPU = "nvidia.com/gpu"
_VARIABLES: dict[str, tuple[str, Any, str]] = {
    "name": ("string", None, "Name of the run; set by Prefect."),
    "command": ("string", None, "Command of the container; the default is set by Prefect."),
    "env": ("object", {}, "Additional environment variables."),
    "labels": ("object", {}, "Labels of the Job; set by Prefect."),
    "annotations": ("object", {}, "Annotations of the Job."),
    "image": ("string", None, "The project's train image, by digest: registry/name@sha256:…"),
    "cpu": ("string", "1", "CPU request of the run."),
    "cpu_limit": ("string", "4", "CPU limit of the run."),
    "memory": ("string", "2Gi", "Memory request and limit of the run."),
    "scratch": ("string", "10Gi", "Disk space for temporary files of the run."),
    "gpus": ("integer", None, "GPUs of the run, within the team's quota."),
    "node_selector": ("object", {}, "Labels that the run's node must have."),
    "tolerations": ("array", [], "Taints of nodes that the run accepts, as Kubernetes writes them."),
    "image_pull_secrets": ("array", [], "Secrets for the image's registry, each as {name: …}."),
    "pod_annotations": ("object", {}, "Annotations of the run's pod."),
    "secret": (
        "string",
        TRAINING_SECRET,
        "Secret of the team's namespace whose keys become environment variables, such as AWS_ACCESS_KEY_ID; need not "
        "exist.",
    ),
    "run_limit_seconds": (
        "integer",
        6 * 3600,
        "Seconds after which the run ends as crashed, including the wait for a node.",
    ),
    "backoff_limit": (
        "integer",
        0,
        "Number of pods that Kubernetes starts after a failed one; Prefect handles the retries of a flow.",
    ),
    "finished_job_ttl": ("integer", 24 * 3600, "Seconds that a finished Job and the log of its pod are kept."),
    "pod_watch_timeout_seconds": ("integer", PENDING_LIMIT_S, "Seconds that the worker waits for the pod to start."),
    "job_watch_timeout_seconds": (
        "integer",
        None,
        "Seconds that the worker waits for the Job; the run limit applies in any case.",
    ),
    "stream_output": ("boolean", True, "Whether the worker copies the log of the pod to its own."),
}


def base_job_template(namespace: str, *, mlflow_url: str, prefect_api_url: str) -> dict[str, Any]:
    """Build the job configuration and the variables that a deployment may set; everything else is fixed.

    Args:
        namespace: Namespace of the team.
        mlflow_url: Address of MLflow inside the cluster.
        prefect_api_url: Address of the Prefect API inside the cluster.
    """
    properties: dict[str, Any] = {}
    for name, (kind, default, text) in _VARIABLES.items():
        optional = default is None and name != "image"
        typed: dict[str, Any] = {"anyOf": [{"type": kind}, {"type": "null"}]} if optional else {"type": kind}
        if kind == "object":
            typed["additionalProperties"] = {"type": "string"}
        if kind == "array":
            typed["items"] = {"type": "object"}
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
        # Prefect's command is a whole one, but the image's entrypoint is `mlp`.
        "command": ["/usr/bin/env"],
        "args": "{{ command }}",
        # The worker adds the variables of Prefect and of the deployment, which take precedence.
        "env": [*({"name": name, "value": value} for name, value in fixed.items()), *mlflow_credentials()],
        "envFrom": [{"secretRef": {"name": "{{ secret }}", "optional": True}}],
        "resources": {
            "requests": {"cpu": "{{ cpu }}", "memory": "{{ memory }}", "ephemeral-storage": "{{ scratch }}"},
            # Prefect drops a field whose variable has no value.
            "limits": {
                "cpu": "{{ cpu_limit }}",
                "memory": "{{ memory }}",
                "ephemeral-storage": "{{ scratch }}",
                GPU: "{{ gpus }}",
            },
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
        "nodeSelector": "{{ node_selector }}",
        "tolerations": "{{ tolerations }}",
        "imagePullSecrets": "{{ image_pull_secrets }}",
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
            "template": {"metadata": {"annotations": "{{ pod_annotations }}"}, "spec": pod},
        },
    }
