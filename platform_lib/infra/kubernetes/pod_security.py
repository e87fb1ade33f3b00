"""What every pod of ours may do, where its replicas go, and whose credentials it shows to MLflow, as data for services, models and jobs."""

from collections.abc import Mapping
from typing import Any, Final

from platform_lib.names import TEAM_CREDENTIALS_SECRET

USER: Final = 10001
"""Number of the user and group that every process of ours runs as, whatever its image says."""


def container_security_context() -> dict[str, Any]:
    """A container's `securityContext`: a read-only root and no capabilities."""
    return {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def pod_security_context() -> dict[str, Any]:
    """A pod's `securityContext`: never root, system calls as the runtime bounds them."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def spread(selector: Mapping[str, str]) -> list[dict[str, Any]]:
    """A pod's `topologySpreadConstraints`: replicas of one version over zones and nodes, as far as there are several."""
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
    """`env` with which a team's pod shows MLflow whose it is."""
    return [
        {
            "name": f"MLFLOW_TRACKING_{key.upper()}",
            "valueFrom": {"secretKeyRef": {"name": TEAM_CREDENTIALS_SECRET, "key": key}},
        }
        for key in ("username", "password")
    ]
