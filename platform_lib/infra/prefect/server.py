"""A Prefect server, with a work pool and a Kubernetes worker per team that shares it.

`pods` describes the pods, `job` the Job of a run. Database, route and login are separate components.
Prefect has no access control per team: anyone with its auth string may start runs in every pool. The shared stack
therefore creates one server per team.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base import naming, versions
from platform_lib.infra.base.access import DatabaseAccess
from platform_lib.infra.base.labels import labels, selector
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.setting_rules import HOST
from platform_lib.infra.base.sizing import resources
from platform_lib.infra.kubernetes import service_pod
from platform_lib.infra.kubernetes.network_policy import (
    from_namespaces,
    policy_spec,
    to_api_server,
    to_database,
    to_dns,
    to_namespace,
    with_labels,
)
from platform_lib.infra.kubernetes.secret_store import random_password
from platform_lib.infra.prefect import pods
from platform_lib.infra.prefect.job import SERVICE_ACCOUNT, base_job_template
from platform_lib.names import PREFECT_AUTH_KEY, PREFECT_AUTH_SECRET, Port

USER = "edge"
"""User in the auth string. The route of the pages sends the same one for people who have logged in."""


@dataclass(frozen=True, kw_only=True)
class PrefectServerArgs:
    """Settings of a Prefect server."""

    ui_host: str
    """Public host name of the pages, such as `prefect.example.com`."""
    database: DatabaseAccess
    team_namespaces: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Team → namespace. Each team gets a work pool of its name, whose runs are Jobs in that namespace."""
    namespace: str = naming.PREFECT_NAMESPACE
    train_annotations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Team → annotations of the service account of its training pods, which give them an identity of the cloud."""
    former_name: str = ""
    """Component that owned these workers before. Its objects are adopted, so that an upgrade deletes none in use."""
    ingress_namespace: str = naming.INGRESS_NAMESPACE
    monitoring_namespace: str = naming.MONITORING_NAMESPACE
    mlflow_url: str = naming.MLFLOW_URL
    placement: Placement = field(default_factory=Placement)
    has_service_monitor: bool = True
    """Whether the cluster has the CRD of ServiceMonitor."""
    auth_rotation: str = "1"
    """Any text; another text generates another auth string at the next `pulumi up`."""

    def __post_init__(self) -> None:
        HOST.check("ui_host", self.ui_host)
        for team in self.team_namespaces:
            naming.TEAM.check("the team name", team)


class PrefectServer(pulumi.ComponentResource):
    """A Prefect server. Machines use it at `url` with the auth string in the Secret `prefect-auth`."""

    url: pulumi.Output[str]
    """Address of the API inside the cluster; ends with `/api`."""
    service_name: pulumi.Output[str]
    password: pulumi.Output[str]
    """Password in the auth string (secret), for the route of the pages."""

    def __init__(self, name: str, args: PrefectServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:PrefectServer", name, None, opts)
        self._args, self._child = args, pulumi.ResourceOptions(parent=self)
        self._image = versions.image("prefect", args.placement.mirrors)
        password = random_password(f"{name}-auth", self._child, rotation=args.auth_rotation)
        self.password = password.result
        auth = self._auth_secret(f"{name}-auth", args.namespace, password.result)
        server, service = self._server(name)
        self.service_name = service.metadata.name
        self.url = pulumi.Output.concat("http://", self.service_name, ".", args.namespace, f":{int(Port.PREFECT)}/api")
        if args.has_service_monitor:
            self._monitor(name, auth)
        for team, namespace in args.team_namespaces.items():
            self._auth_secret(f"{name}-{team}-team-auth", namespace, password.result, self._was(f"{team}-auth"))
            self._worker(f"{name}-{team}", team, namespace, server)
        self.register_outputs({"url": self.url, "service_name": self.service_name, "password": self.password})

    def _was(self, former: str, opts: pulumi.ResourceOptions | None = None) -> pulumi.ResourceOptions:
        aliases = [pulumi.Alias(name=f"{self._args.former_name}-{former}")] if self._args.former_name else []
        return pulumi.ResourceOptions.merge(opts or self._child, pulumi.ResourceOptions(aliases=aliases))

    def _metadata(
        self,
        name: str | None,
        *,
        namespace: pulumi.Input[str] | None = None,
        of: str = pods.SERVER,
        annotations: Mapping[str, str] | None = None,
    ) -> k8s.meta.v1.ObjectMetaArgs:
        part = "server" if of == pods.SERVER else "worker"
        return k8s.meta.v1.ObjectMetaArgs(
            name=name,
            namespace=self._args.namespace if namespace is None else namespace,
            labels=labels(of, part),
            annotations=dict(annotations or {}) or None,
        )

    def _auth_secret(
        self,
        name: str,
        namespace: pulumi.Input[str],
        password: pulumi.Output[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> k8s.core.v1.Secret:
        data = {PREFECT_AUTH_KEY: pulumi.Output.concat(f"{USER}:", password), "username": USER, "password": password}
        return k8s.core.v1.Secret(
            name,
            metadata=self._metadata(PREFECT_AUTH_SECRET, namespace=namespace),
            string_data=data,
            opts=opts or self._child,
        )

    def _server(self, name: str) -> tuple[k8s.apps.v1.Deployment, k8s.core.v1.Service]:
        args, child, metadata = self._args, self._child, self._metadata(pods.SERVER)
        account = k8s.core.v1.ServiceAccount(name, metadata=metadata, automount_service_account_token=False, opts=child)
        template = pods.server_template(
            image=self._image,
            ui_host=args.ui_host,
            database_secret=args.database.secret,
            service_account=account.metadata.name,
            size=resources("prefect-server", args.placement.size),
            settings=args.placement.pods,
            proxy=args.placement.mirrors.proxy_environment(),
        )
        # Only one replica: two would both run the scheduler and would not see each other's events.
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": pods.SERVER_SELECTOR},
            "strategy": {"type": "Recreate"},
            "template": template,
        }
        deployment = k8s.apps.v1.Deployment(name, metadata=metadata, spec=spec, opts=child)
        ports = [{"name": "http", "port": int(Port.PREFECT), "targetPort": "http"}]
        service = k8s.core.v1.Service(
            name,
            metadata=metadata,
            spec={"type": "ClusterIP", "selector": pods.SERVER_SELECTOR, "ports": ports},
            opts=child,
        )
        budget = {"maxUnavailable": 1, "selector": {"matchLabels": pods.SERVER_SELECTOR}}
        k8s.policy.v1.PodDisruptionBudget(name, metadata=metadata, spec=budget, opts=child)
        clients = [args.namespace, args.ingress_namespace, args.monitoring_namespace, *args.team_namespaces.values()]
        network = pulumi.Output.from_input(args.database.namespace).apply(
            lambda space: policy_spec(
                with_labels(pods.SERVER_SELECTOR),
                ingress=[from_namespaces(clients, Port.PREFECT)],
                egress=[*to_dns(), to_database(args.database.port, space)],
            )
        )
        k8s.networking.v1.NetworkPolicy(name, metadata=metadata, spec=network, opts=child)
        return deployment, service

    def _monitor(self, name: str, auth: k8s.core.v1.Secret) -> None:
        k8s.apiextensions.CustomResource(
            f"{name}-monitor",
            api_version="monitoring.coreos.com/v1",
            kind="ServiceMonitor",
            metadata=self._metadata(pods.SERVER),
            spec=service_pod.monitor_spec(pods.SERVER_SELECTOR, "/api/metrics", auth.metadata.name),
            opts=self._child,
        )

    def _worker(self, name: str, team: str, namespace: pulumi.Input[str], server: k8s.apps.v1.Deployment) -> None:
        args, worker, child = self._args, pods.worker_name(team), self._was(f"{team}-worker")
        here, there = self._metadata(worker, of=worker), self._metadata(worker, namespace=namespace, of=worker)
        api_url = f"http://{pods.SERVER}.{args.namespace}:{int(Port.PREFECT)}/api"
        files = pulumi.Output.from_input(namespace).apply(
            lambda text: pods.worker_files(base_job_template(text, mlflow_url=args.mlflow_url, prefect_api_url=api_url))
        )
        code = k8s.core.v1.ConfigMap(
            f"{name}-code", metadata=self._metadata(None, of=worker), data=files, opts=self._was(f"{team}-code")
        )
        account = k8s.core.v1.ServiceAccount(
            f"{name}-worker", metadata=here, automount_service_account_token=False, opts=child
        )
        k8s.core.v1.ServiceAccount(
            f"{name}-train",
            metadata=self._metadata(
                SERVICE_ACCOUNT, namespace=namespace, of=worker, annotations=args.train_annotations.get(team)
            ),
            # Here and not in the job template, so that no deployment of the team's can leave it out.
            image_pull_secrets=args.placement.pods.pulls or None,
            automount_service_account_token=False,
            opts=self._was(f"{team}-train"),
        )
        rules = [
            {
                "apiGroups": ["batch"],
                "resources": ["jobs"],
                "verbs": ["get", "list", "watch", "create", "patch", "delete"],
            },
            {
                "apiGroups": [""],
                "resources": ["pods", "pods/log", "pods/status", "events"],
                "verbs": ["get", "list", "watch"],
            },
        ]
        role = k8s.rbac.v1.Role(f"{name}-worker", metadata=there, rules=rules, opts=child)
        k8s.rbac.v1.RoleBinding(
            f"{name}-worker",
            metadata=there,
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata.name},
            subjects=[{"kind": "ServiceAccount", "name": account.metadata.name, "namespace": args.namespace}],
            opts=child,
        )
        template = pods.worker_template(
            image=self._image,
            team=team,
            namespace=namespace,  # type: ignore[arg-type]  # an Output is resolved by the Deployment
            api_url=api_url,
            cluster=naming.PLATFORM,
            code_config_map=code.metadata.name,
            service_account=account.metadata.name,
            size=resources("prefect-worker", args.placement.size),
            settings=args.placement.pods,
        )
        chosen = selector(worker, "worker")
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": chosen},
            "strategy": {"type": "Recreate"},
            "template": template,
        }
        # Without this, the worker restarts until the server responds, and Pulumi reports the rollout as failed.
        after = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[server]))
        k8s.apps.v1.Deployment(f"{name}-worker", metadata=here, spec=spec, opts=after)
        egress = [*to_dns(), to_namespace(args.namespace, Port.PREFECT), to_api_server()]
        network = policy_spec(with_labels(chosen), ingress=[], egress=egress)
        k8s.networking.v1.NetworkPolicy(f"{name}-worker", metadata=here, spec=network, opts=child)
