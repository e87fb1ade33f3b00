"""What the dashboard of one model endpoint shows. `dashboards` lays it out; `model_alerts` calls people."""

from platform_lib.infra.monitoring.dashboards import Panel, Query, dashboard
from platform_lib.names import MetricName


def model_panels(model: str, namespace: str) -> list[Panel]:
    """The panels, first what callers feel, then what the model does, then what it costs.

    Args:
        model: Name of the model, and of its Service and Deployment.
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
            description="By HTTP status: 4xx is a caller's mistake, 5xx is the server's.",
            unit="reqps",
        ),
        Panel(
            title="Time to answer",
            queries=tuple(
                Query(f"histogram_quantile({quantile}, sum by (le) ({seconds}))", f"p{quantile * 100:g}")
                for quantile in (0.5, 0.95, 0.99)
            ),
            description="From a request's arrival to its answer, without the network.",
            unit="s",
        ),
        Panel(
            title="Share of failures",
            # `or` a zero: without a failure there is no series with a status of 500, and an empty panel looks like a broken one.
            queries=(Query(f"(sum({failures}) or vector(0)) / sum({requests})", "5xx"),),
            description="Alert ModelErrors watches this.",
            unit="percentunit",
            width=8,
        ),
        Panel(
            title="Requests in flight",
            queries=(Query(f"{MetricName.IN_FLIGHT}{{{scope}}}", "{{pod}}"),),
            description="A replica; alert ModelSaturated watches this.",
            width=8,
        ),
        Panel(
            title="Version that answers",
            queries=(
                Query(answered, "version {{version}}"),
                Query(beside, "{{alias}} {{version}}"),
                Query(f"max by (version) ({MetricName.CHAMPION_INFO}{{{scope}}})", "champion {{version}}"),
            ),
            description="Replicas by version, canary and shadow, and the registry's champion; alert ModelNotChampion compares them.",
            kind="stat",
            width=8,
        ),
        Panel(
            title="Requests per second, by version",
            queries=(Query(f"sum by (version) ({requests})", "version {{version}}"),),
            description="A canary has its own version.",
            unit="reqps",
            width=6,
        ),
        Panel(
            title="Time to answer, by version",
            queries=(Query(f"histogram_quantile(0.99, sum by (le, version) ({seconds}))", "version {{version}}"),),
            description="The 99th percentile.",
            unit="s",
            width=6,
        ),
        Panel(
            title="Failures that the champion covered",
            queries=(
                Query(f"sum by (version) (rate({MetricName.CANARY_FAILURES}{{{scope}}}[5m]))", "version {{version}}"),
            ),
            description="Requests that the canary could not answer; alert ModelCanaryOff watches what comes of them.",
            unit="reqps",
            width=6,
        ),
        Panel(
            title="Answers that differ",
            queries=(
                Query(
                    f"(sum by (version) ({differing}) or 0 * sum by (version) ({compared})) / sum by (version) ({compared})",
                    "version {{version}}",
                ),
            ),
            description="Of rows that canary and champion, or champion and shadow, were both asked for.",
            unit="percentunit",
            width=6,
        ),
        Panel(
            title="Rows per second",
            queries=(Query(f"sum by (version) (rate({MetricName.ROWS}_sum{{{scope}}}[5m]))", "version {{version}}"),),
            description="Rows that were asked for, over all requests.",
            unit="rowsps",
            width=8,
        ),
        Panel(
            title="What is predicted",
            queries=(Query(f"sum by (bin) ({predicted}) / on () group_left () sum({predicted})", "{{bin}}"),),
            description="Share of each class, or of each range of the predicted number.",
            unit="percentunit",
            width=8,
        ),
        Panel(
            title="Rows that the request log lost",
            queries=(Query(f"sum(increase({MetricName.LOG_DROPPED}{{{scope}}}[10m]))", "lost in 10 minutes"),),
            description="Alert ModelLogDrops watches this.",
            width=8,
        ),
        Panel(
            title="Replicas",
            queries=(
                Query(
                    f'kube_deployment_status_replicas_available{{namespace="{namespace}",deployment="{model}"}}',
                    "ready",
                ),
                Query(f'kube_deployment_spec_replicas{{namespace="{namespace}",deployment="{model}"}}', "wanted"),
            ),
            description="Ready and wanted.",
            source="cluster",
            width=8,
        ),
        Panel(
            title="CPU",
            queries=(Query(f"sum by (pod) (rate(container_cpu_usage_seconds_total{{{pods}}}[5m]))", "{{pod}}"),),
            description="Cores in use, a replica.",
            source="cluster",
            width=8,
        ),
        Panel(
            title="Memory",
            queries=(Query(f"sum by (pod) (container_memory_working_set_bytes{{{pods}}})", "{{pod}}"),),
            description="Working set, a replica.",
            unit="bytes",
            source="cluster",
            width=8,
        ),
    ]


def model_dashboard(model: str, namespace: str) -> str:
    """The dashboard's JSON."""
    return dashboard(
        f"mlp-{namespace}-{model}", f"Model {model} ({namespace})", model_panels(model, namespace), tags=["model"]
    )
