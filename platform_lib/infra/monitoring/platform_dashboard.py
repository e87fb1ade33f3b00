"""What the platform's own dashboard shows: is everything there, does the edge answer, how much room is left. `dashboards` lays it out."""

from collections.abc import Sequence

from platform_lib.infra.monitoring.dashboards import Panel, Query, dashboard


def platform_panels(namespaces: Sequence[str]) -> list[Panel]:
    """The panels.

    Args:
        namespaces: The platform's own, as `naming` has them.
    """
    scope = f'namespace=~"{"|".join(sorted(namespaces))}"'
    teams = 'namespace=~"team-.*"'
    edge = "traefik_service_requests_total"
    quota = f'kube_resourcequota{{{teams},type="%s"}}'
    return [
        Panel(
            title="Services without a ready pod",
            queries=(Query(f"sum(kube_deployment_status_replicas_available{{{scope}}} == bool 0)", "services"),),
            description="Alert PlatformServiceDown watches this.",
            kind="stat",
            source="cluster",
            width=6,
        ),
        Panel(
            title="Models that serve",
            queries=(Query(f"count(sum by (namespace, model) (mlp_model_info{{{teams}}} == 1))", "models"),),
            description="In all teams.",
            kind="stat",
            source="cluster",
            width=6,
        ),
        Panel(
            title="Alerts that fire",
            queries=(Query('count(ALERTS{alertstate="firing",alertname!="Watchdog"}) or vector(0)', "alerts"),),
            description="Watchdog always fires: it shows that alerts arrive.",
            kind="stat",
            source="cluster",
            width=6,
        ),
        Panel(
            title="Days until the first certificate expires",
            queries=(Query("min(certmanager_certificate_expiration_timestamp_seconds - time()) / 86400", "days"),),
            description="Alert CertificateExpires calls at 14.",
            kind="stat",
            source="cluster",
            width=6,
        ),
        Panel(
            title="Requests at the edge",
            queries=(Query(f"sum by (code) (rate({edge}[5m]))", "{{code}}"),),
            description="All hosts, by HTTP status.",
            unit="reqps",
            source="cluster",
        ),
        Panel(
            title="Time to answer at the edge",
            queries=(
                Query(
                    "histogram_quantile(0.99, sum by (le) (rate(traefik_entrypoint_request_duration_seconds_bucket[5m])))",
                    "p99",
                ),
            ),
            description="One answer in a hundred takes longer.",
            unit="s",
            source="cluster",
        ),
        Panel(
            title="Requests per second by model",
            queries=(Query(f"sum by (model) (rate(mlp_requests_total{{{teams}}}[5m]))", "{{model}}"),),
            description="In all teams.",
            unit="reqps",
            source="cluster",
        ),
        Panel(
            title="Failures by model",
            queries=(Query(f'sum by (model) (rate(mlp_requests_total{{{teams},code=~"5.."}}[5m]))', "{{model}}"),),
            description="Answers with a status of 500 or above, a second.",
            unit="reqps",
            source="cluster",
        ),
        Panel(
            title="Memory of the platform",
            queries=(
                Query(
                    f'sum by (namespace) (container_memory_working_set_bytes{{{scope},container!=""}})', "{{namespace}}"
                ),
            ),
            description="Working set.",
            unit="bytes",
            source="cluster",
        ),
        Panel(
            title="Room on volumes",
            queries=(
                Query(
                    f"kubelet_volume_stats_available_bytes{{{scope}}} / kubelet_volume_stats_capacity_bytes{{{scope}}}",
                    "{{namespace}} {{persistentvolumeclaim}}",
                ),
            ),
            description="Share that is free; alert PlatformVolumeFills calls at a tenth.",
            unit="percentunit",
            source="cluster",
        ),
        Panel(
            title="CPU of jobs and models by team",
            queries=(
                Query(
                    f'sum by (namespace) (rate(container_cpu_usage_seconds_total{{{teams},container!=""}}[5m]))',
                    "{{namespace}}",
                ),
            ),
            description="Cores in use.",
            source="cluster",
        ),
        Panel(
            title="Quota in use by team",
            queries=(
                Query(
                    f"max by (namespace, resource) ({quota % 'used'} / ignoring (type) {quota % 'hard'})",
                    "{{namespace}} {{resource}}",
                ),
            ),
            description="At 100 % new pods of the team are refused.",
            unit="percentunit",
            source="cluster",
        ),
    ]


def platform_dashboard(namespaces: Sequence[str]) -> str:
    """The dashboard's JSON."""
    return dashboard("mlp-platform", "Platform", platform_panels(namespaces), tags=["platform"])
