"""The shared stack: load the settings, create the platform, publish the outputs that model stacks read."""

from dataclasses import asdict, replace

import pulumi
import pulumi_kubernetes as k8s

from infra_stack.base import make_base
from infra_stack.config import load_config
from infra_stack.edge import built_in_login, make_edge, open_user_interfaces, platform_egress
from infra_stack.outputs import shared_outputs
from infra_stack.services import make_services
from platform_lib.infra.base import naming
from platform_lib.infra.base.labels import labels
from platform_lib.infra.base.outputs import outputs_data
from platform_lib.infra.edge.login import sign_out_url
from platform_lib.infra.kubernetes.namespaces import Namespaces, NamespacesArgs
from platform_lib.infra.monitoring import grafana_guard
from platform_lib.infra.monitoring.keda import Keda, KedaArgs
from platform_lib.infra.monitoring.observability import Observability, ObservabilityArgs
from platform_lib.infra.team.admission import TeamAdmission, TeamAdmissionArgs
from platform_lib.infra.team.team import Team
from platform_lib.names import OUTPUTS_CONFIG_MAP

base = make_base(load_config())
config = base.config
mirrors, placement = config.mirrors, config.placement
outputs = shared_outputs(config)
on_cluster = pulumi.ResourceOptions(provider=base.cluster.provider)
spaces_args = NamespacesArgs(
    mirrors=mirrors,
    teams=config.teams,
    egress=platform_egress(config),
    image_pull_logins=config.image_pull_logins,
)
namespaces = Namespaces("platform", spaces_args, on_cluster)
spaces = namespaces.namespaces
ingress_space = spaces[naming.INGRESS_NAMESPACE]
after_spaces = pulumi.ResourceOptions.merge(on_cluster, pulumi.ResourceOptions(depends_on=[namespaces]))

config = base.with_databases(config, spaces, on_cluster)
ingress, certificates = make_edge(config, ingress_space, on_cluster)
TeamAdmission("team-routes", TeamAdmissionArgs(models_host=outputs.models_host), after_spaces)
watching = ObservabilityArgs(
    grafana_url=outputs.grafana_url,
    signout_url=sign_out_url(naming.host("grafana", config.domain)) if config.oidc_issuer else "",
    alerts=config.alerts or "",
    retention_days=config.metrics_retention_days,
    placement=placement,
    has_operator=config.existing.prometheus_operator,
    keda_namespace=config.existing.keda_namespace,
    depends_on=certificates.ready,
)
observability = Observability("observability", watching, after_spaces)
if config.request_rate_scaling and not config.existing.keda_namespace:
    Keda("request-scaling", KedaArgs(placement=placement), after_spaces)

teams = {
    name: Team(f"team-{name}", replace(args, after_traefik=[ingress.release]), after_spaces)
    for name, args in config.team_args(outputs).items()
}
after_monitoring = pulumi.ResourceOptions.merge(
    on_cluster, pulumi.ResourceOptions(depends_on=[namespaces, observability])
)
built_in = built_in_login(config, spaces, after_spaces)
credentials = make_services(config, spaces, teams, built_in, after=after_monitoring)
credentials = replace(
    credentials, logins={**credentials.logins, "grafana": (grafana_guard.USER, observability.grafana_edge_password)}
)
open_user_interfaces(config, spaces, credentials, built_in, after=[ingress.release], opts=after_spaces)

metadata = {"name": OUTPUTS_CONFIG_MAP, "namespace": ingress_space, "labels": labels(OUTPUTS_CONFIG_MAP, "outputs")}
k8s.core.v1.ConfigMap(OUTPUTS_CONFIG_MAP, metadata=metadata, data=outputs_data(outputs), opts=on_cluster)
for key, value in asdict(outputs).items():
    pulumi.export(key, value)
