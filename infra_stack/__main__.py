"""The shared stack: load the settings, compose the platform, publish what model stacks read."""

from dataclasses import asdict

import pulumi
import pulumi_kubernetes as k8s

from infra_stack.config import load_config
from infra_stack.edge import make_edge, open_user_interfaces
from infra_stack.outputs import shared_outputs
from infra_stack.services import make_services
from platform_lib.contract import OUTPUTS_CONFIG_MAP
from platform_lib.infra import naming
from platform_lib.infra.cluster import Cluster, ClusterArgs
from platform_lib.infra.foundation import Foundation, FoundationArgs
from platform_lib.infra.labels import labels
from platform_lib.infra.observability import Observability, ObservabilityArgs
from platform_lib.infra.request_scaling import RequestScaling, RequestScalingArgs
from platform_lib.infra.route_admission import RouteAdmission, RouteAdmissionArgs
from platform_lib.infra.shared_outputs import outputs_data
from platform_lib.infra.team import Team

config = load_config()
mirrors, size, storage = config.mirrors, config.size, config.storage_class
outputs = shared_outputs(config)
cluster = Cluster("cluster", ClusterArgs(kubeconfig=config.kubeconfig or None, context=config.context))
on_cluster = pulumi.ResourceOptions(provider=cluster.provider)
foundation = Foundation("platform", FoundationArgs(mirrors=mirrors, teams=config.teams), on_cluster)
spaces = foundation.namespaces
ingress_space = spaces[naming.INGRESS_NAMESPACE]
after_spaces = pulumi.ResourceOptions.merge(on_cluster, pulumi.ResourceOptions(depends_on=[foundation]))

ingress = make_edge(config, ingress_space, on_cluster)
RouteAdmission("team-routes", RouteAdmissionArgs(models_host=outputs.models_host), after_spaces)
days, links = config.metrics_retention_days, outputs.grafana_url
watching = ObservabilityArgs(grafana_url=links, alerts=config.alerts or "", size=size, retention_days=days, storage_class=storage, mirrors=mirrors)
observability = Observability("observability", watching, after_spaces)
if config.request_rate_scaling:
    RequestScaling("request-scaling", RequestScalingArgs(mirrors=mirrors), after_spaces)

teams = {name: Team(f"team-{name}", args, after_spaces) for name, args in config.team_args(outputs).items()}
after_monitoring = pulumi.ResourceOptions.merge(on_cluster, pulumi.ResourceOptions(depends_on=[foundation, observability]))
logins = make_services(config, spaces, teams, after=after_monitoring)
open_user_interfaces(config, spaces, logins, after=[ingress.release], opts=after_spaces)

metadata = {"name": OUTPUTS_CONFIG_MAP, "namespace": ingress_space, "labels": labels(OUTPUTS_CONFIG_MAP, "outputs")}
k8s.core.v1.ConfigMap(OUTPUTS_CONFIG_MAP, metadata=metadata, data=outputs_data(outputs), opts=on_cluster)
for key, value in asdict(outputs).items():
    pulumi.export(key, value)
