"""Alert rules of one model endpoint, as data for a PrometheusRule. `observability` has the platform's own; `model_endpoint` applies these."""

from dataclasses import dataclass
from typing import Any

from platform_lib.infra.base.setting_rules import COUNT, POSITIVE, SHARE
from platform_lib.infra.monitoring.alert_rules import alert
from platform_lib.names import MetricName


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertThresholds:
    """When people are called. The defaults suit a model behind a web page."""

    error_share: float = 0.02
    """Of all answers, those that are the server's fault (5xx)."""
    latency_p99_s: float = 1.0
    """Seconds that one answer in a hundred may exceed."""
    in_flight: int = 64
    """Requests that one replica holds at the same time on average; it answers four and lets 256 wait by default."""

    def __post_init__(self) -> None:
        SHARE.check("error_share", self.error_share)
        POSITIVE.check("latency_p99_s", self.latency_p99_s)
        COUNT.check("in_flight", self.in_flight)


def model_rules(
    model: str, namespace: str, *, thresholds: AlertThresholds, scales: bool = True, autoscaler: str = ""
) -> list[dict[str, Any]]:
    """The rule groups of one endpoint.

    Args:
        model: Name of the model, and of its Service and Deployment.
        namespace: Where they are; Prometheus puts it on every series it scrapes there.
        scales: Whether there is an autoscaler that can reach its end.
        autoscaler: Its HorizontalPodAutoscaler, by default named as the model.
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
            "Nobody answers, or the NetworkPolicy keeps Prometheus out.",
        ),
        alert(
            "ModelNotReady",
            f'kube_deployment_status_replicas_available{{namespace="{namespace}",deployment="{model}"}} == 0',
            "5m",
            "critical",
            f"No replica of {model} is ready.",
            "/readyz says why: most often no version is champion yet, or MLflow does not answer.",
        ),
        alert(
            "ModelErrors",
            f"{failures} / {requests} > {thresholds.error_share} and {failures} * 300 >= 5",
            "5m",
            "critical",
            f"{model} fails on {{{{ $value | humanizePercentage }}}} of its requests.",
            f"More than {thresholds.error_share:.1%} of the answers of five minutes, and at least five of them, have a status of 500 or above.",
        ),
        alert(
            "ModelSlow",
            f"histogram_quantile(0.99, sum by (le) (rate({MetricName.SECONDS}_bucket{{{scope}}}[5m]))) > {thresholds.latency_p99_s}",
            "10m",
            "warning",
            f"One answer in a hundred of {model} takes {{{{ $value | humanizeDuration }}}} or more.",
            f"The limit is {thresholds.latency_p99_s} s.",
        ),
        alert(
            "ModelSaturated",
            f"max(avg_over_time({MetricName.IN_FLIGHT}{{{scope}}}[5m])) > {thresholds.in_flight}",
            "10m",
            "warning",
            f"A replica of {model} holds {{{{ $value | humanize }}}} requests at the same time.",
            "They wait for their turn; more replicas, or more CPU for each, would help.",
        ),
        alert(
            "ModelNotChampion",
            f"({served} unless {champion}) and on (namespace, model) {champion}",
            "15m",
            "warning",
            f"{model} serves version {{{{ $labels.version }}}}, which is not the registry's champion.",
            "It is pinned, or it refused the champion: /model says which and why.",
        ),
        alert(
            "ModelVersionRefused",
            f"sum(increase({MetricName.REFUSED}{{{scope}}}[15m])) > 0",
            "1m",
            "warning",
            f"{model} refused a version that was promoted.",
            "/model names the version and the reason; the old one goes on answering.",
        ),
        alert(
            "ModelCanaryOff",
            f"max by (version) ({MetricName.CANARY_OFF}{{{scope}}}) == 1",
            "1m",
            "warning",
            f"{model} has switched off its canary, version {{{{ $labels.version }}}}.",
            "It failed more requests than it may; the champion answered them. /model says what the last failure was; `mlp canary abort` ends it.",
        ),
        alert(
            "ModelLogDrops",
            f"sum(increase({MetricName.LOG_DROPPED}{{{scope}}}[10m])) > 0",
            "1m",
            "warning",
            f"The request log of {model} lost {{{{ $value | humanize }}}} rows in ten minutes.",
            "Its place is full or slow, or its credentials are refused; monitoring sees fewer rows than were answered.",
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
                f"{model} has run at its most replicas for half an hour.",
                "Raise max_replicas if the load is honest.",
            )
        )
    return [
        {
            "name": f"mlp-model-{model}",
            "rules": [{**rule, "labels": {**rule["labels"], "model": model, "namespace": namespace}} for rule in rules],
        }
    ]
