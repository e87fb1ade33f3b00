"""Alert rules of the platform's own services, as plain data. kube-prometheus-stack brings the rules of the cluster.

They use only metrics of kube-state-metrics, the kubelet, Traefik, cert-manager and Alertmanager, so they also watch
services without metrics of their own.
"""

from collections.abc import Sequence
from typing import Any

from platform_lib.infra.monitoring.alert_rules import alert


def platform_rules(namespaces: Sequence[str]) -> list[dict[str, Any]]:
    """Build the rule groups.

    Args:
        namespaces: Namespaces of the platform, as patterns of PromQL.
    """
    scope = f'namespace=~"{"|".join(sorted(namespaces))}"'
    edge = "traefik_service_requests_total"
    rules = [
        alert(
            "PlatformServiceDown",
            f"kube_deployment_status_replicas_available{{{scope}}} == 0"
            f" and on (namespace, deployment) kube_deployment_spec_replicas{{{scope}}} > 0",
            "5m",
            "critical",
            "{{ $labels.deployment }} in {{ $labels.namespace }} has no ready pod.",
            "Requests to this service fail. `kubectl describe pod` shows the reason.",
        ),
        alert(
            "PlatformStoreDown",
            f"kube_statefulset_status_replicas_ready{{{scope}}} == 0"
            f" and on (namespace, statefulset) kube_statefulset_replicas{{{scope}}} > 0",
            "5m",
            "critical",
            "{{ $labels.statefulset }} in {{ $labels.namespace }} has no ready pod.",
            "It stores data: find the cause before you delete anything that belongs to it.",
        ),
        alert(
            "PlatformPodRestarts",
            f"increase(kube_pod_container_status_restarts_total{{{scope}}}[30m]) > 3",
            "5m",
            "warning",
            "Container {{ $labels.container }} of pod {{ $labels.pod }} keeps restarting.",
            "`kubectl logs --previous` shows its last output. The reason OOMKilled means that it needs more memory.",
        ),
        alert(
            "PlatformVolumeFills",
            f"kubelet_volume_stats_available_bytes{{{scope}}} / kubelet_volume_stats_capacity_bytes{{{scope}}} < 0.1",
            "15m",
            "critical",
            "Volume {{ $labels.persistentvolumeclaim }} in {{ $labels.namespace }} has "
            "{{ $value | humanizePercentage }} free.",
            "Enlarge the claim or shorten the retention before the volume is full and the service stops.",
        ),
        alert(
            "EdgeErrors",
            f'sum by (service) (rate({edge}{{code=~"5.."}}[5m])) / sum by (service) (rate({edge}[5m])) > 0.05'
            f' and sum by (service) (increase({edge}{{code=~"5.."}}[5m])) >= 5',
            "5m",
            "critical",
            "{{ $value | humanizePercentage }} of the requests to {{ $labels.service }} get a 5xx from the edge.",
            "The service is down or slow; its own alerts show which.",
        ),
        alert(
            "CertificateExpires",
            "certmanager_certificate_expiration_timestamp_seconds - time() < 14 * 86400",
            "1h",
            "critical",
            "The certificate {{ $labels.name }} in {{ $labels.exported_namespace }} expires in "
            "{{ $value | humanizeDuration }}.",
            "cert-manager should have renewed it two weeks ago. `kubectl describe certificate` shows why it did not.",
        ),
        alert(
            "CertificateNotReady",
            'certmanager_certificate_ready_status{condition="True"} == 0',
            "30m",
            "warning",
            "The certificate {{ $labels.name }} in {{ $labels.exported_namespace }} is not issued.",
            "`kubectl describe certificate,challenge` shows the reason. "
            "Usually a DNS name does not point to the platform's address yet.",
        ),
        alert(
            "AlertsNotDelivered",
            "sum by (integration) (increase(alertmanager_notifications_failed_total[15m])) > 0",
            "5m",
            "critical",
            "Alertmanager cannot deliver notifications by {{ $labels.integration }}.",
            "The address or its credentials are wrong. Until then nobody is notified: watch the alerts in Grafana.",
        ),
        alert(
            "AlertsGoNowhere",
            'absent(alertmanager_build_info) or absent(up{job="kube-state-metrics"} == 1)',
            "15m",
            "critical",
            "Alertmanager or kube-state-metrics is down.",
            "Without them, most alerts cannot fire or cannot be delivered.",
        ),
    ]
    return [{"name": "mlp-platform", "rules": rules}]
