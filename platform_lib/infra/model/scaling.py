"""Autoscaling of a model endpoint, as plain data: by CPU, or with KEDA also by request rate."""

from typing import Any

from platform_lib.infra.base import setting_rules as rules
from platform_lib.infra.base.naming import PROMETHEUS_SERVICE
from platform_lib.names import MetricName

_SLOWLY_DOWN = {"scaleDown": {"stabilizationWindowSeconds": 300}}


def check_replicas(min_replicas: int, max_replicas: int) -> None:
    """Check the autoscaler's bounds.

    Raises:
        SettingError: They are below 1, or in the wrong order.
    """
    rules.COUNT.check("min_replicas", min_replicas)
    if max_replicas < min_replicas:
        raise rules.SettingError(
            f"max_replicas is {max_replicas} and min_replicas {min_replicas}: give max_replicas that or more."
        )


def cpu_scaling(model: str, *, min_replicas: int, max_replicas: int, cpu_target_percent: int) -> dict[str, Any]:
    """Build the spec of a HorizontalPodAutoscaler."""
    target = {"type": "Utilization", "averageUtilization": cpu_target_percent}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": model},
        "minReplicas": min_replicas,
        "maxReplicas": max_replicas,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        "behavior": _SLOWLY_DOWN,
    }


def request_rate_scaling(
    model: str,
    namespace: str,
    *,
    monitoring_namespace: str,
    min_replicas: int,
    max_replicas: int,
    cpu_target_percent: int,
    requests_per_s: float,
) -> dict[str, Any]:
    """Build the spec of a KEDA ScaledObject. KEDA names its autoscaler after the model, like the one without KEDA.

    Args:
        model: Name of the model and of its Deployment.
        namespace: Namespace of the endpoint.
        monitoring_namespace: Namespace of Prometheus.
        min_replicas: Lower bound.
        max_replicas: Upper bound.
        cpu_target_percent: Share of the requested CPU above which replicas are added.
        requests_per_s: Target rate per replica.
    """
    query = f'sum(rate({MetricName.REQUESTS}{{namespace="{namespace}",service="{model}"}}[1m]))'
    address = f"http://{PROMETHEUS_SERVICE}.{monitoring_namespace}:9090"
    return {
        "scaleTargetRef": {"name": model},
        "minReplicaCount": min_replicas,
        "maxReplicaCount": max_replicas,
        "advanced": {"horizontalPodAutoscalerConfig": {"name": model, "behavior": _SLOWLY_DOWN}},
        "triggers": [
            {"type": "cpu", "metricType": "Utilization", "metadata": {"value": str(cpu_target_percent)}},
            {
                "type": "prometheus",
                "metadata": {"serverAddress": address, "query": query, "threshold": f"{requests_per_s:g}"},
            },
        ],
    }
