"""The shared MLflow: Deployment of the official image, Service, storage, network, monitoring and access rules.

`pod` describes the pod, and `in_image/` is the code that runs in it. Database, route and login are separate components.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base import naming, versions
from platform_lib.infra.base.access import AWS_URL, DatabaseAccess, S3Access
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.setting_rules import HOST, one_of
from platform_lib.infra.base.sizing import resources
from platform_lib.infra.kubernetes import service_pod
from platform_lib.infra.kubernetes.network_policy import (
    from_namespaces,
    policy_spec,
    to_database,
    to_dns,
    to_pod_identity,
    to_urls,
    with_labels,
)
from platform_lib.infra.kubernetes.secret_store import password_hash, random_password
from platform_lib.infra.kubernetes.volume_claim import claim_spec
from platform_lib.infra.mlflow import pod
from platform_lib.names import Port

NAMES = one_of("first-registration", "team-models")
"""Whose a name of a model or experiment is: the first team's that takes it, or the team's whose `team_models` it is."""


@dataclass(frozen=True, kw_only=True)
class MlflowServerArgs:
    """Settings of the shared MLflow.

    Hashes come from `password_hash` of generated passwords. A name has several hashes while its password is rotated.
    """

    ui_host: str
    """Public host name of the pages, such as `mlflow.example.com`."""
    namespace: str = naming.MLFLOW_NAMESPACE
    placement: Placement = field(default_factory=Placement)
    database: DatabaseAccess
    team_password_hashes: Mapping[str, Sequence[pulumi.Input[str]]]
    """Team → hashes of the password for its machines, whose user name is the team's name."""
    edge_password_hashes: Sequence[pulumi.Input[str]]
    """Hashes of the password with which the login proxy authenticates its requests."""
    group_teams: Mapping[str, str] = field(default_factory=dict)
    """Group of the login provider → team."""
    admin_groups: Sequence[str] = ()
    ci_password_hashes: Mapping[str, Sequence[pulumi.Input[str]]] = field(default_factory=dict)
    """Team → hashes of the password for its CI, whose user name is the team's name as well."""
    champion_roles: Sequence[str] = ("ci", "machines", "members")
    """Who may move the aliases `champion`, `previous` and `canary`: these roles, or groups of people; administrators
    always."""
    name_patterns: Mapping[str, Sequence[str]] | None = None
    """Team → names (`NAME` or `PREFIX*`) of models and experiments that it may create; None gives a name to the first
    team that takes it."""
    ingress_namespace: str = naming.INGRESS_NAMESPACE
    monitoring_namespace: str = naming.MONITORING_NAMESPACE
    client_namespaces: Sequence[pulumi.Input[str]] = ()
    """Namespaces whose pods may connect, with the credentials of their team."""
    artifacts: S3Access | None = None
    """Bucket for artifacts; None keeps them on a volume, with one replica."""
    account_annotations: Mapping[str, str] = field(default_factory=dict)
    """Annotations of the service account, which give the pod an identity of the cloud."""
    has_service_monitor: bool = True
    """Whether the cluster has the CRD of ServiceMonitor."""

    def __post_init__(self) -> None:
        for team in {*self.team_password_hashes, *self.group_teams.values()}:
            naming.TEAM.check("the team name", team)
        unknown = {group: team for group, team in self.group_teams.items() if team not in self.team_password_hashes}
        if unknown:
            raise ValueError(
                f"group_teams names unknown teams: {unknown}; "
                f"the teams are {', '.join(self.team_password_hashes) or 'none'}."
            )
        if not self.edge_password_hashes:
            raise ValueError(
                "edge_password_hashes is empty: give the hash of the login proxy's password, "
                "without which nobody could open MLflow's pages."
            )
        HOST.check("ui_host", self.ui_host)

    @property
    def replicas(self) -> int:
        """One replica with a volume, which has a single writer; with a bucket, the size decides."""
        return resources(pod.NAME, self.placement.size).replicas if self.artifacts else 1


class MlflowServer(pulumi.ComponentResource):
    """The shared MLflow. Clients use it, and artifacts through it, at `url` with the credentials of their team."""

    url: pulumi.Output[str]
    """Address inside the cluster."""
    service_name: pulumi.Output[str]

    def __init__(self, name: str, args: MlflowServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:MlflowServer", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self._args, self._selector = args, pod.SELECTOR
        metrics_secret, access_secret = self._credentials(name, child)
        code = k8s.core.v1.ConfigMap(f"{name}-code", metadata=self._metadata(), data=pod.code_files(), opts=child)
        account = k8s.core.v1.ServiceAccount(
            name,
            metadata=self._metadata(pod.NAME, args.account_annotations),
            automount_service_account_token=False,
            opts=child,
        )
        goes_outside = args.artifacts is not None
        has_ca_bundle = goes_outside and bool(args.placement.mirrors.ca_bundle)
        template = pod.pod_template(
            image=versions.image(pod.NAME, args.placement.mirrors),
            command=pod.server_command(args.ui_host, args.namespace, args.artifacts.uri if args.artifacts else ""),
            env=pod.server_environment(
                args.database.secret,
                args.artifacts,
                proxy=args.placement.mirrors.proxy_environment() if goes_outside else {},
                has_ca_bundle=has_ca_bundle,
            ),
            code_config_map=code.metadata.name,
            access_secret=access_secret.metadata.name,
            artifact_claim=None if args.artifacts else self._artifact_claim(name).metadata.name,
            service_account=account.metadata.name,
            size=resources(pod.NAME, args.placement.size),
            settings=args.placement.pods,
            has_ca_bundle=has_ca_bundle,
        )
        # A volume allows only one pod at a time; with a bucket, the new pod is ready before the old one stops.
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        spec = {
            "replicas": args.replicas,
            "selector": {"matchLabels": self._selector},
            "strategy": rolling if args.artifacts else {"type": "Recreate"},
            "template": template,
        }
        k8s.apps.v1.Deployment(name, metadata=self._metadata(pod.NAME), spec=spec, opts=child)
        service = k8s.core.v1.Service(
            name,
            metadata=self._metadata(pod.NAME),
            spec={
                "type": "ClusterIP",
                "selector": self._selector,
                "ports": [{"name": "http", "port": int(Port.MLFLOW), "targetPort": "http"}],
            },
            opts=child,
        )
        k8s.policy.v1.PodDisruptionBudget(
            name,
            metadata=self._metadata(pod.NAME),
            spec={"maxUnavailable": 1, "selector": {"matchLabels": self._selector}},
            opts=child,
        )
        self._network(name, child)
        if args.has_service_monitor:
            self._monitor(name, metrics_secret, child)
        self.service_name = service.metadata.name
        self.url = pulumi.Output.concat("http://", self.service_name, ".", args.namespace, f":{int(Port.MLFLOW)}")
        self.register_outputs({"url": self.url, "service_name": self.service_name})

    def _metadata(
        self, name: str | None = None, annotations: Mapping[str, str] | None = None
    ) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(
            name=name, namespace=self._args.namespace, labels=pod.LABELS, annotations=dict(annotations or {}) or None
        )

    def _credentials(self, name: str, child: pulumi.ResourceOptions) -> tuple[k8s.core.v1.Secret, k8s.core.v1.Secret]:
        args = self._args
        password = random_password(f"{name}-metrics", child)
        metrics = k8s.core.v1.Secret(
            f"{name}-metrics",
            metadata=self._metadata("mlflow-metrics"),
            string_data={"username": "metrics", "password": password.result},
            opts=child,
        )
        text = pulumi.Output.json_dumps(
            {
                "edge": list(args.edge_password_hashes),
                "metrics": [password_hash(password.result)],
                "teams": {team: list(hashes) for team, hashes in args.team_password_hashes.items()},
                "group_teams": dict(args.group_teams),
                "admin_groups": list(args.admin_groups),
                "ci": {team: list(hashes) for team, hashes in args.ci_password_hashes.items()},
                "champion_roles": list(args.champion_roles),
                "name_patterns": args.name_patterns
                and {team: list(patterns) for team, patterns in args.name_patterns.items()},
            }
        )
        # A fixed name, so that running pods read changes: adding a team or rotating a password needs no restart.
        access = k8s.core.v1.Secret(
            f"{name}-access",
            metadata=self._metadata("mlflow-access"),
            string_data={pod.ACCESS_KEY: pulumi.Output.secret(text)},
            opts=child,
        )
        return metrics, access

    def _artifact_claim(self, name: str) -> k8s.core.v1.PersistentVolumeClaim:
        spec = claim_spec(self._args.placement.volume_gib("artifacts"), self._args.placement.storage_class)
        metadata = k8s.meta.v1.ObjectMetaArgs(
            name="mlflow-artifacts",
            namespace=self._args.namespace,
            labels=pod.LABELS,
            # A class that binds at the first pod leaves the claim unbound until then; waiting here would never end.
            annotations={"pulumi.com/skipAwait": "true"},
        )
        opts = pulumi.ResourceOptions(parent=self, protect=True)
        return k8s.core.v1.PersistentVolumeClaim(f"{name}-artifacts", metadata=metadata, spec=spec, opts=opts)

    def _network(self, name: str, child: pulumi.ResourceOptions) -> None:
        args = self._args
        egress = to_dns()
        if args.artifacts:
            # Without keys, the pod asks the cloud for its identity.
            cloud = "" if args.artifacts.secret else AWS_URL
            egress += to_urls(args.artifacts.endpoint or AWS_URL, args.placement.mirrors.http_proxy, cloud)
            egress += [] if args.artifacts.secret else [to_pod_identity()]
        clients = [args.ingress_namespace, args.monitoring_namespace, *args.client_namespaces]
        ingress = [from_namespaces(clients, Port.MLFLOW)]
        spec = pulumi.Output.from_input(args.database.namespace).apply(
            lambda space: policy_spec(
                with_labels(self._selector), ingress=ingress, egress=[*egress, to_database(args.database.port, space)]
            )
        )
        k8s.networking.v1.NetworkPolicy(name, metadata=self._metadata(pod.NAME), spec=spec, opts=child)

    def _monitor(self, name: str, secret: k8s.core.v1.Secret, child: pulumi.ResourceOptions) -> None:
        spec = service_pod.monitor_spec(self._selector, "/metrics", secret.metadata.name)
        k8s.apiextensions.CustomResource(
            f"{name}-monitor",
            api_version="monitoring.coreos.com/v1",
            kind="ServiceMonitor",
            metadata=self._metadata(pod.NAME),
            spec=spec,
            opts=child,
        )
