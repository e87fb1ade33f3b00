"""Panels of the Grafana dashboard of one model endpoint. `monitoring/dashboards.py` lays them out."""

from platform_lib.infra.model.drift_rules import PSI
from platform_lib.infra.monitoring.dashboards import Panel, Query, dashboard
from platform_lib.names import MetricName


def model_panels(model: str, namespace: str) -> list[Panel]:
    """Build the panels: first what callers notice, then what the model does, then what it costs.

    Args:
        model: Name of the model, and of its Service and Deployment.
        namespace: Namespace of the endpoint.
    """
    scope = f'namespace="{namespace}",service="{model}"'
    pods = f'namespace="{namespace}",pod=~"{model}-.*",container="server"'
    requests, seconds = (
        f"rate({MetricName.REQUESTS}{{{scope}}}[5m])",
        f"rate({MetricName.SECONDS}_bucket{{{scope}}}[5m])",
    )
    failures = f'rate({MetricName.REQUESTS}{{{scope},code=~"5.."}}[5m])'
    answered = f'sum by (version) ({MetricName.MODEL_INFO}{{{scope},alias!~"canary|shadow"}} == 1)'
    beside = f'sum by (alias, version) ({MetricName.MODEL_INFO}{{{scope},alias=~"canary|shadow"}} == 1)'
    compared = f'rate({MetricName.COMPARED}{{{scope},result=~"same|differs"}}[5m])'
    differing = f'rate({MetricName.COMPARED}{{{scope},result="differs"}}[5m])'
    predicted = f'rate({MetricName.FEATURE_BIN}{{{scope},feature=~"prediction( of the model)?"}}[5m])'
    return [
        Panel(
            title="Requests per second",
            queries=(Query(f"sum by (code) ({requests})", "{{code}}"),),
            description="By HTTP status: 4xx are errors of callers, 5xx are errors of the server.",
            unit="reqps",
        ),
        Panel(
            title="Response time",
            queries=tuple(
                Query(f"histogram_quantile({quantile}, sum by (le) ({seconds}))", f"p{quantile * 100:g}")
                for quantile in (0.5, 0.95, 0.99)
            ),
            description="From the arrival of a request to its response, without the network.",
            unit="s",
        ),
        Panel(
            title="Error rate",
            # `or` zero: without errors there is no 5xx series, and an empty panel looks broken.
            queries=(Query(f"(sum({failures}) or vector(0)) / sum({requests})", "5xx"),),
            description="Share of responses with status 5xx. Alert: ModelErrors.",
            unit="percentunit",
            width=8,
        ),
        Panel(
            title="Requests in flight",
            queries=(Query(f"{MetricName.IN_FLIGHT}{{{scope}}}", "{{pod}}"),),
            description="Per replica. Alert: ModelSaturated.",
            width=8,
        ),
        Panel(
            title="Serving version",
            queries=(
                Query(answered, "version {{version}}"),
                Query(beside, "{{alias}} {{version}}"),
                Query(f"max by (version) ({MetricName.CHAMPION_INFO}{{{scope}}})", "champion {{version}}"),
            ),
            description="Replicas by version and role, and the champion in the registry. Alert: ModelNotChampion.",
            kind="stat",
            width=8,
        ),
        Panel(
            title="Requests per second by version",
            queries=(Query(f"sum by (version) ({requests})", "version {{version}}"),),
            description="A canary shows up as its own version.",
            unit="reqps",
            width=6,
        ),
        Panel(
            title="Response time by version",
            queries=(Query(f"histogram_quantile(0.99, sum by (le, version) ({seconds}))", "version {{version}}"),),
            description="The 99th percentile.",
            unit="s",
            width=6,
        ),
        Panel(
            title="Canary failures covered by the champion",
            queries=(
                Query(f"sum by (version) (rate({MetricName.CANARY_FAILURES}{{{scope}}}[5m]))", "version {{version}}"),
            ),
            description="Requests that the canary failed and the champion answered. Alert: ModelCanaryOff.",
            unit="reqps",
            width=6,
        ),
        Panel(
            title="Differing predictions",
            queries=(
                Query(
                    f"(sum by (version) ({differing}) or 0 * sum by (version) ({compared}))"
                    f" / sum by (version) ({compared})",
                    "version {{version}}",
                ),
            ),
            description="Share of rows for which the champion and its canary or shadow predict differently.",
            unit="percentunit",
            width=6,
        ),
        Panel(
            title="Rows per second",
            queries=(Query(f"sum by (version) (rate({MetricName.ROWS}_sum{{{scope}}}[5m]))", "version {{version}}"),),
            description="Requested rows over all requests.",
            unit="rowsps",
            width=8,
        ),
        Panel(
            title="Predictions",
            queries=(Query(f"sum by (bin) ({predicted}) / on () group_left () sum({predicted})", "{{bin}}"),),
            description="Share of each class, or of each range of the predicted value.",
            unit="percentunit",
            width=8,
        ),
        Panel(
            title="Drift by column",
            queries=(
                Query(
                    f'topk(8, {PSI}{{namespace="{namespace}",model="{model}"}})',
                    "{{feature}}, version {{version}}",
                ),
            ),
            description="Population stability index of the eight columns with the largest. Alert: ModelDrift.",
            width=8,
        ),
        Panel(
            title="Rows lost by the request log",
            queries=(Query(f"sum(increase({MetricName.LOG_DROPPED}{{{scope}}}[10m]))", "lost in 10 minutes"),),
            description="Alert: ModelLogDrops.",
            width=8,
        ),
        Panel(
            title="Replicas",
            queries=(
                Query(
                    f'kube_deployment_status_replicas_available{{namespace="{namespace}",deployment="{model}"}}',
                    "ready",
                ),
                Query(f'kube_deployment_spec_replicas{{namespace="{namespace}",deployment="{model}"}}', "desired"),
            ),
            description="Ready and desired replicas.",
            source="cluster",
            width=8,
        ),
        Panel(
            title="CPU",
            queries=(Query(f"sum by (pod) (rate(container_cpu_usage_seconds_total{{{pods}}}[5m]))", "{{pod}}"),),
            description="Cores in use per replica.",
            source="cluster",
            width=8,
        ),
        Panel(
            title="Memory",
            queries=(Query(f"sum by (pod) (container_memory_working_set_bytes{{{pods}}})", "{{pod}}"),),
            description="Working set per replica.",
            unit="bytes",
            source="cluster",
            width=8,
        ),
    ]


def model_dashboard(model: str, namespace: str) -> str:
    """Return the dashboard as JSON."""
    return dashboard(
        f"mlp-{namespace}-{model}", f"Model {model} ({namespace})", model_panels(model, namespace), tags=["model"]
    )
