"""Pod settings that services, models and jobs share: security contexts, spreading and MLflow credentials, as data."""

from collections.abc import Mapping
from typing import Any, Final

from platform_lib.names import TEAM_CREDENTIALS_SECRET

USER: Final = 10001
"""Numeric user and group ID of every process that the platform runs, whatever its image says."""


def container_security_context() -> dict[str, Any]:
    """Return a container's `securityContext`: read-only root file system, no capabilities."""
    return {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def pod_security_context() -> dict[str, Any]:
    """Return a pod's `securityContext`: never root, with the container runtime's default seccomp profile."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def spread(selector: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a pod's `topologySpreadConstraints`: replicas of one version prefer separate zones and nodes."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": dict(selector)},
            "matchLabelKeys": ["pod-template-hash"],
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def mlflow_credentials() -> list[dict[str, Any]]:
    """Return the `env` with the team's MLflow credentials, read from its Secret."""
    return [
        {
            "name": f"MLFLOW_TRACKING_{key.upper()}",
            "valueFrom": {"secretKeyRef": {"name": TEAM_CREDENTIALS_SECRET, "key": key}},
        }
        for key in ("username", "password")
    ]
