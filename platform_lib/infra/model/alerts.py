"""Alert rules of one model endpoint, as plain data for a PrometheusRule."""

from dataclasses import dataclass
from typing import Any

from platform_lib.infra.base.setting_rules import COUNT, POSITIVE, SHARE
from platform_lib.infra.monitoring.alert_rules import alert
from platform_lib.names import MetricName


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertThresholds:
    """When alerts fire. The defaults suit a model behind a web page."""

    error_share: float = 0.02
    """Share of responses with status 5xx, between 0 and 1."""
    latency_p99_s: float = 1.0
    """Limit of the 99th percentile of the response time, in seconds."""
    in_flight: int = 64
    """Average number of requests in flight per replica. By default a replica runs 4 at a time and queues up to 256."""
    psi: float = 0.25
    """Population stability index from which a column has drifted."""
    drift_window_h: int = 24
    """Hours of traffic that are compared with the training rows."""
    drift_rows: int = 500
    """Windows with fewer rows are not judged."""

    def __post_init__(self) -> None:
        SHARE.check("error_share", self.error_share)
        POSITIVE.check("latency_p99_s", self.latency_p99_s)
        COUNT.check("in_flight", self.in_flight)
        POSITIVE.check("psi", self.psi)
        COUNT.check("drift_window_h", self.drift_window_h)
        COUNT.check("drift_rows", self.drift_rows)


def model_rules(
    model: str, namespace: str, *, thresholds: AlertThresholds, scales: bool = True, autoscaler: str = ""
) -> list[dict[str, Any]]:
    """Build the rule groups of one endpoint.

    Args:
        model: Name of the model, and of its Service and Deployment.
        namespace: Namespace of the endpoint, and the label that Prometheus adds to its metrics.
        thresholds: When alerts fire.
        scales: Whether an autoscaler can add replicas.
        autoscaler: Name of the HorizontalPodAutoscaler; empty uses the model's name.
    """
    scope = f'namespace="{namespace}",service="{model}"'
    requests = f"sum(rate({MetricName.REQUESTS}{{{scope}}}[5m]))"
    failures = f'sum(rate({MetricName.REQUESTS}{{{scope},code=~"5.."}}[5m]))'
    served = f'max by (namespace, model, version) ({MetricName.MODEL_INFO}{{{scope},alias!~"canary|shadow"}} == 1)'
    champion = f"max by (namespace, model, version) ({MetricName.CHAMPION_INFO}{{{scope}}})"
    replicas = f'namespace="{namespace}",horizontalpodautoscaler="{autoscaler or model}"'
    rules = [
        alert(
            "ModelDown",
            f"absent(up{{{scope}}} == 1)",
            "5m",
            "critical",
            f"No replica of {model} can be scraped.",
            "No server responds, or a NetworkPolicy blocks Prometheus.",
        ),
        alert(
            "ModelNotReady",
            f'kube_deployment_status_replicas_available{{namespace="{namespace}",deployment="{model}"}} == 0',
            "5m",
            "critical",
            f"No replica of {model} is ready.",
            "/readyz shows the reason. Usually no version is champion yet, or MLflow does not respond.",
        ),
        alert(
            "ModelErrors",
            f"{failures} / {requests} > {thresholds.error_share} and {failures} * 300 >= 5",
            "5m",
            "critical",
            f"{{{{ $value | humanizePercentage }}}} of the requests to {model} fail.",
            f"More than {thresholds.error_share:.1%} of the responses of the last five minutes, and at least five, "
            "have status 5xx.",
        ),
        alert(
            "ModelSlow",
            f"histogram_quantile(0.99, sum by (le) (rate({MetricName.SECONDS}_bucket{{{scope}}}[5m])))"
            f" > {thresholds.latency_p99_s}",
            "10m",
            "warning",
            f"One in a hundred requests to {model} takes {{{{ $value | humanizeDuration }}}} or longer.",
            f"The limit of the 99th percentile is {thresholds.latency_p99_s} s.",
        ),
        alert(
            "ModelSaturated",
            f"max(avg_over_time({MetricName.IN_FLIGHT}{{{scope}}}[5m])) > {thresholds.in_flight}",
            "10m",
            "warning",
            f"A replica of {model} has {{{{ $value | humanize }}}} requests in flight.",
            "Requests are queueing. Add replicas, or give each replica more CPU.",
        ),
        alert(
            "ModelNotChampion",
            f"({served} unless {champion}) and on (namespace, model) {champion}",
            "15m",
            "warning",
            f"{model} serves version {{{{ $labels.version }}}}, which is not the champion in the registry.",
            "The version is pinned, or the server rejected the champion. /model shows which, and the reason.",
        ),
        alert(
            "ModelVersionRefused",
            f"sum(increase({MetricName.REFUSED}{{{scope}}}[15m])) > 0",
            "1m",
            "warning",
            f"{model} rejected a promoted version.",
            "/model names the version and the reason. The previous version keeps serving.",
        ),
        alert(
            "ModelCanaryOff",
            f"max by (version) ({MetricName.CANARY_OFF}{{{scope}}}) == 1",
            "1m",
            "warning",
            f"{model} has switched off its canary, version {{{{ $labels.version }}}}.",
            "It failed more requests than allowed; the champion answered them. /model shows the last error. "
            "`mlp canary abort` ends the canary.",
        ),
        alert(
            "ModelLogDrops",
            f"sum(increase({MetricName.LOG_DROPPED}{{{scope}}}[10m])) > 0",
            "1m",
            "warning",
            f"The request log of {model} lost {{{{ $value | humanize }}}} rows in ten minutes.",
            "Its storage is full or slow, or rejects the credentials. Monitoring sees fewer rows than were served.",
        ),
    ]
    if scales:
        current, most = (
            "kube_horizontalpodautoscaler_status_current_replicas",
            "kube_horizontalpodautoscaler_spec_max_replicas",
        )
        rules.append(
            alert(
                "ModelAtItsLimit",
                f"{current}{{{replicas}}} >= {most}{{{replicas}}}",
                "30m",
                "warning",
                f"{model} has run its maximum number of replicas for half an hour.",
                "Raise max_replicas if the load is legitimate.",
            )
        )
    return [
        {
            "name": f"mlp-model-{model}",
            "rules": [{**rule, "labels": {**rule["labels"], "model": model, "namespace": namespace}} for rule in rules],
        }
    ]
