"""The metrics that a cluster's exporters expose, for tests of queries.

Names and labels are copied from each project's documentation; none of these programs runs here. The list is short on
purpose: a dashboard or an alert that uses another metric must first be looked up there.

Label names are as Prometheus stores them. The charts scrape kube-state-metrics and the kubelet with `honorLabels`, so
`namespace` is the object's namespace. Our PodMonitor scrapes cert-manager without it, so the certificate's namespace
becomes `exported_namespace`.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATE_METRICS, STACK, CERTIFICATES = (
    "kube-state-metrics (chart kube-prometheus-stack)",
    "chart kube-prometheus-stack",
    "chart cert-manager",
)
_WORKLOADS = "kubernetes/kube-state-metrics: docs/metrics/workload"
_CADVISOR = "google/cadvisor: metrics/prometheus.go, served by the kubelet"
_QUOTA = "kubernetes/kube-state-metrics: docs/metrics/policy/resourcequota-metrics.md"
_VOLUMES = "kubernetes/kubernetes: pkg/kubelet/metrics/collectors/volume_stats.go"
_CERTIFICATE = ("name", "exported_namespace", "issuer_name", "issuer_kind", "issuer_group")


@dataclass(frozen=True, slots=True)
class Exposed:
    """A metric, the exporter that exposes it, and where that is documented."""

    by: str
    source: str
    labels: tuple[str, ...]


EXPOSED: Mapping[str, Exposed] = {
    "kube_deployment_status_replicas_available": Exposed(
        STATE_METRICS, f"{_WORKLOADS}/deployment-metrics.md", ("namespace", "deployment")
    ),
    "kube_deployment_spec_replicas": Exposed(
        STATE_METRICS, f"{_WORKLOADS}/deployment-metrics.md", ("namespace", "deployment")
    ),
    "kube_statefulset_status_replicas_ready": Exposed(
        STATE_METRICS, f"{_WORKLOADS}/statefulset-metrics.md", ("namespace", "statefulset")
    ),
    "kube_statefulset_replicas": Exposed(
        STATE_METRICS, f"{_WORKLOADS}/statefulset-metrics.md", ("namespace", "statefulset")
    ),
    "kube_pod_container_status_restarts_total": Exposed(
        STATE_METRICS, f"{_WORKLOADS}/pod-metrics.md", ("namespace", "pod", "uid", "container")
    ),
    "kube_horizontalpodautoscaler_status_current_replicas": Exposed(
        STATE_METRICS, f"{_WORKLOADS}/horizontalpodautoscaler-metrics.md", ("namespace", "horizontalpodautoscaler")
    ),
    "kube_horizontalpodautoscaler_spec_max_replicas": Exposed(
        STATE_METRICS, f"{_WORKLOADS}/horizontalpodautoscaler-metrics.md", ("namespace", "horizontalpodautoscaler")
    ),
    "kube_resourcequota": Exposed(
        STATE_METRICS,
        "kubernetes/kube-state-metrics: docs/metrics/policy/resourcequota-metrics.md",
        ("namespace", "resourcequota", "resource", "type"),
    ),
    "kubelet_volume_stats_available_bytes": Exposed(STACK, _VOLUMES, ("namespace", "persistentvolumeclaim")),
    "kubelet_volume_stats_capacity_bytes": Exposed(STACK, _VOLUMES, ("namespace", "persistentvolumeclaim")),
    "container_cpu_usage_seconds_total": Exposed(STACK, _CADVISOR, ("namespace", "pod", "container", "image", "cpu")),
    "container_memory_working_set_bytes": Exposed(STACK, _CADVISOR, ("namespace", "pod", "container", "image")),
    "alertmanager_notifications_failed_total": Exposed(
        STACK, "prometheus/alertmanager: notify/metrics.go", ("integration", "reason")
    ),
    "alertmanager_build_info": Exposed(STACK, "prometheus/alertmanager: cmd/alertmanager/main.go", ("version",)),
    "certmanager_certificate_expiration_timestamp_seconds": Exposed(
        CERTIFICATES, "cert-manager/cert-manager: internal/collectors/certificate_collector.go", _CERTIFICATE
    ),
    "certmanager_certificate_ready_status": Exposed(
        CERTIFICATES,
        "cert-manager/cert-manager: internal/collectors/certificate_collector.go",
        (*_CERTIFICATE, "condition"),
    ),
}


def exposition(places: Mapping[str, str]) -> str:
    """Render every metric in Prometheus' text format, in each of these namespaces.

    Args:
        places: Namespace → name of the workload there.
    """
    lines = []
    for metric, exposed in EXPOSED.items():
        for namespace, name in places.items():
            known = {
                "namespace": namespace,
                "exported_namespace": namespace,
                "pod": f"{name}-1",
                "container": "server",
                "condition": "True",
            }
            for kind in ("hard", "used") if "type" in exposed.labels else ("",):
                values = {label: known.get(label, name) for label in exposed.labels} | ({"type": kind} if kind else {})
                if "namespace" not in exposed.labels and "exported_namespace" not in exposed.labels:
                    values |= {"instance": namespace}  # one process each
                written = ",".join(f'{label}="{value}"' for label, value in values.items())
                # A healthy cluster, in which no alert fires: the quota is half used and the autoscaler is below its
                # maximum.
                lines.append(f"{metric}{{{written}}} {4 if metric.endswith('max_replicas') or kind == 'hard' else 2}")
    return "\n".join(lines) + "\n"


@contextmanager
def exporter(text: str) -> Iterator[int]:
    """Serve a text as /metrics on a port of its own."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        yield listener.server_port
        listener.shutdown()
        thread.join()
