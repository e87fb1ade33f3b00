"""Alert rules of the platform itself, as data for a PrometheusRule; kube-prometheus-stack brings those of the cluster.

They need only what kube-state-metrics, Traefik, cert-manager and Alertmanager export, so a service that exports nothing is watched too.
"""

from collections.abc import Sequence
from typing import Any

from platform_lib.infra.monitoring.alert_rules import alert


def platform_rules(namespaces: Sequence[str]) -> list[dict[str, Any]]:
    """The rule groups.

    Args:
        namespaces: The platform's own, as `naming` has them.
    """
    scope = f'namespace=~"{"|".join(sorted(namespaces))}"'
    edge = "traefik_service_requests_total"
    rules = [
        alert(
            "PlatformServiceDown",
            f"kube_deployment_status_replicas_available{{{scope}}} == 0 and on (namespace, deployment) kube_deployment_spec_replicas{{{scope}}} > 0",
            "5m",
            "critical",
            "{{ $labels.deployment }} in {{ $labels.namespace }} has no ready pod.",
            "Whoever needs it waits. `kubectl describe` of its pods says why.",
        ),
        alert(
            "PlatformStoreDown",
            f"kube_statefulset_status_replicas_ready{{{scope}}} == 0 and on (namespace, statefulset) kube_statefulset_replicas{{{scope}}} > 0",
            "5m",
            "critical",
            "{{ $labels.statefulset }} in {{ $labels.namespace }} has no ready pod.",
            "It keeps state: look before you delete anything of it.",
        ),
        alert(
            "PlatformPodRestarts",
            f"increase(kube_pod_container_status_restarts_total{{{scope}}}[30m]) > 3",
            "5m",
            "warning",
            "{{ $labels.container }} of {{ $labels.pod }} restarts again and again.",
            "`kubectl logs --previous` says what it said last; OOMKilled means that it needs more memory.",
        ),
        alert(
            "PlatformVolumeFills",
            f"kubelet_volume_stats_available_bytes{{{scope}}} / kubelet_volume_stats_capacity_bytes{{{scope}}} < 0.1",
            "15m",
            "critical",
            "{{ $labels.persistentvolumeclaim }} in {{ $labels.namespace }} has {{ $value | humanizePercentage }} left.",
            "Make the claim larger, or what it keeps shorter, before the service stops.",
        ),
        alert(
            "EdgeErrors",
            f'sum by (service) (rate({edge}{{code=~"5.."}}[5m])) / sum by (service) (rate({edge}[5m])) > 0.05'
            f' and sum by (service) (increase({edge}{{code=~"5.."}}[5m])) >= 5',
            "5m",
            "critical",
            "Traefik answers {{ $value | humanizePercentage }} of the requests to {{ $labels.service }} with an error.",
            "The service is down or slow; its own alerts say which.",
        ),
        alert(
            "CertificateExpires",
            "certmanager_certificate_expiration_timestamp_seconds - time() < 14 * 86400",
            "1h",
            "critical",
            "The certificate {{ $labels.name }} in {{ $labels.exported_namespace }} expires in {{ $value | humanizeDuration }}.",
            "cert-manager should have renewed it two weeks ago: `kubectl describe certificate` says why it did not.",
        ),
        alert(
            "CertificateNotReady",
            'certmanager_certificate_ready_status{condition="True"} == 0',
            "30m",
            "warning",
            "The certificate {{ $labels.name }} in {{ $labels.exported_namespace }} is not issued.",
            "`kubectl describe certificate` and its challenges say why; most often a name does not lead to the platform's address yet.",
        ),
        alert(
            "AlertsNotDelivered",
            "sum by (integration) (increase(alertmanager_notifications_failed_total[15m])) > 0",
            "5m",
            "critical",
            "Alerts do not arrive by {{ $labels.integration }}.",
            "The address or its credentials are wrong; nobody is called while this lasts, so look at Grafana now and then.",
        ),
        alert(
            "AlertsGoNowhere",
            'absent(alertmanager_build_info) or absent(up{job="kube-state-metrics"} == 1)',
            "15m",
            "critical",
            "Alertmanager or kube-state-metrics is not there.",
            "Without them most of these alerts stay silent.",
        ),
    ]
    return [{"name": "mlp-platform", "rules": rules}]
