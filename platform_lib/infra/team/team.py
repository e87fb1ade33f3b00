"""A team on the platform: namespace, quota, limits, closed network, roles, credentials and model names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.addresses import Destination
from platform_lib.infra.base.labels import TEAM, labels, pod_security
from platform_lib.infra.base.naming import EDGE_MIDDLEWARE, MLFLOW_NAMESPACE, prefect_namespace, team_namespace
from platform_lib.infra.base.outputs import outputs_data
from platform_lib.infra.base.setting_rules import COUNT, COUNT_OR_NONE
from platform_lib.infra.kubernetes.network_policy import (
    ALL_PODS,
    closed_spec,
    policy_spec,
    to_destination,
    to_dns,
    to_namespace,
    to_outside,
    to_pod_identity,
)
from platform_lib.infra.kubernetes.secret_store import Credential, CredentialArgs, image_pull_secret
from platform_lib.infra.team import request_log
from platform_lib.infra.team.model_names import MODELS_ANNOTATION, default_models
from platform_lib.infra.team.network_rules import OUTSIDE_PORTS_ANNOTATION
from platform_lib.infra.team.rbac import deployer_rules, people_rules, tunnel_rules
from platform_lib.infra.team.traefik_rules import edge_spec
from platform_lib.names import (
    OUTPUTS_CONFIG_MAP,
    TEAM_CI_CREDENTIALS_SECRET,
    TEAM_CREDENTIALS_SECRET,
    Port,
    SharedOutputs,
)

DEPLOYER = "deployer"
"""Name of the service account for the team's CI."""


@dataclass(frozen=True, kw_only=True)
class Quota:
    """Limits for the total requests of all pods of a team."""

    cpu: int = 32
    memory_gib: int = 128
    gpus: int = 0
    storage_gib: int = 500
    pods: int = 100

    def __post_init__(self) -> None:
        for name in ("cpu", "memory_gib", "storage_gib", "pods"):
            COUNT.check(name, getattr(self, name))
        COUNT_OR_NONE.check("gpus", self.gpus)


@dataclass(frozen=True, kw_only=True)
class TeamArgs:
    """The team, its groups, its models and its quota."""

    team: str
    outputs: SharedOutputs
    """Written into the team's namespace, where model stacks read them."""
    models: Sequence[str] = ()
    """Models that the team may route, `NAME` or `PREFIX*`; empty allows the team's own name and `TEAM-*`."""
    people_groups: Sequence[str] = ()
    """Kubernetes groups of the team's people; empty uses the team's name."""
    ci_groups: Sequence[str] = ()
    """Kubernetes groups of the team's CI, in addition to the service account `deployer`."""
    quota: Quota = field(default_factory=Quota)
    after_traefik: Sequence[Any] = ()
    """What brings the definition of Middleware."""
    outside_ports: Sequence[int] = (443,)
    """TCP ports outside the cluster that training jobs may connect to for their data."""
    request_log_keys: pulumi.Output[str] | None = None
    """`ACCESS_KEY_ID:SECRET_ACCESS_KEY` (secret) of the bucket for request logs; None if pods have an identity."""
    image_pull_logins: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Registry → `USER:PASSWORD` (secret), for a Secret in the team's namespace."""
    egress: Sequence[Destination] = ()
    """More destinations that every pod of the team may connect to; the team may open their ports in policies too."""

    def __post_init__(self) -> None:
        team_namespace(self.team)

    @property
    def opened_ports(self) -> list[int]:
        """TCP ports outside the cluster that the team may name in its own NetworkPolicies."""
        return list(dict.fromkeys([*self.outside_ports, *(one.port for one in self.egress if one.network)]))


class Team(pulumi.ComponentResource):
    """The namespace `team-<name>` and everything in it that the team may not create itself."""

    namespace: pulumi.Output[str]
    mlflow_password_sha256: pulumi.Output[str]
    """Secret value, for MLflow's access file."""
    mlflow_ci_password_sha256: pulumi.Output[str]
    """The same for the team's CI."""

    def __init__(self, name: str, args: TeamArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:Team", name, None, opts)
        self._name, self._args = name, args
        models = tuple(args.models) or default_models(args.team)
        namespace = k8s.core.v1.Namespace(
            name,
            metadata={
                "name": team_namespace(args.team),
                "labels": {**labels(args.team, "team"), TEAM: args.team, **pod_security("restricted")},
                "annotations": {
                    MODELS_ANNOTATION: ",".join(models),
                    OUTSIDE_PORTS_ANNOTATION: ",".join(map(str, args.opened_ports)),
                },
            },
            # Deleting it would delete the request logs on the team's volumes.
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        self.namespace = namespace.metadata["name"]
        k8s.core.v1.ResourceQuota(
            f"{name}-quota", metadata=self._meta("team"), spec={"hard": quota_hard(args.quota)}, opts=self._child()
        )
        k8s.core.v1.LimitRange(
            f"{name}-limits", metadata=self._meta("team"), spec={"limits": container_limits()}, opts=self._child()
        )
        for role, spec in network_specs(args.team, args.outside_ports, args.egress).items():
            k8s.networking.v1.NetworkPolicy(f"{name}-{role}", metadata=self._meta(role), spec=spec, opts=self._child())
        if args.image_pull_logins:
            image_pull_secret(f"{name}-image-pull", self.namespace, args.image_pull_logins, self)
        self._request_log()
        k8s.core.v1.ConfigMap(
            f"{name}-outputs",
            metadata=self._meta(OUTPUTS_CONFIG_MAP),
            data=outputs_data(args.outputs),
            opts=self._child(),
        )
        k8s.apiextensions.CustomResource(
            f"{name}-edge",
            api_version="traefik.io/v1alpha1",
            kind="Middleware",
            metadata=self._meta(EDGE_MIDDLEWARE),
            spec=edge_spec(),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after_traefik)),
        )
        self._roles()
        self.mlflow_password_sha256 = self._credential("mlflow", TEAM_CREDENTIALS_SECRET)
        self.mlflow_ci_password_sha256 = self._credential("mlflow-ci", TEAM_CI_CREDENTIALS_SECRET)
        self.register_outputs(
            {
                "namespace": self.namespace,
                "mlflow_password_sha256": self.mlflow_password_sha256,
                "mlflow_ci_password_sha256": self.mlflow_ci_password_sha256,
            }
        )

    def _credential(self, role: str, secret_name: str) -> pulumi.Output[str]:
        """Make a password for MLflow with the team's name as user name; returns its hash."""
        args = CredentialArgs(username=self._args.team, secret_name=secret_name, namespaces=[self.namespace])
        return Credential(f"{self._name}-{role}", args, self._child()).password_sha256

    def _request_log(self) -> None:
        name, args = self._name, self._args
        if args.outputs.request_log_uri:
            k8s.networking.v1.NetworkPolicy(
                f"{name}-request-log",
                metadata=self._meta("request-log"),
                spec=request_log.network_spec(args.outputs),
                opts=self._child(),
            )
        if args.request_log_keys is not None:
            k8s.core.v1.Secret(
                f"{name}-request-log",
                metadata=self._meta(request_log.REQUEST_LOG_SECRET),
                string_data=args.request_log_keys.apply(request_log.secret_data),
                opts=self._child(),
            )

    def _roles(self) -> None:
        name, args = self._name, self._args
        account = k8s.core.v1.ServiceAccount(
            f"{name}-deployer", metadata=self._meta(DEPLOYER), automount_service_account_token=False, opts=self._child()
        )
        people: list[dict[str, Any]] = [_group(group) for group in args.people_groups or (args.team,)]
        machine = {"kind": "ServiceAccount", "name": account.metadata["name"], "namespace": self.namespace}
        deployers: list[dict[str, Any]] = [machine, *(_group(group) for group in args.ci_groups)]
        self._bind("people", people_rules(), people)
        self._bind("ci", deployer_rules(), deployers)
        # A role of its own for the outputs, so that it can be bound without other permissions.
        reads = [
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [OUTPUTS_CONFIG_MAP], "verbs": ["get"]}
        ]
        self._bind("outputs", reads, [*people, *deployers])
        for service, space in (("mlflow", MLFLOW_NAMESPACE), ("prefect", prefect_namespace(args.team))):
            self._bind(f"tunnel-mlp-{service}", tunnel_rules(), [*people, *deployers], namespace=space)

    def _bind(
        self, role: str, rules: list[dict[str, Any]], subjects: list[dict[str, Any]], namespace: str = ""
    ) -> None:
        meta = self._meta(f"team-{self._args.team}" if namespace else role)
        if namespace:
            meta["namespace"] = namespace
        made = k8s.rbac.v1.Role(f"{self._name}-{role}", metadata=meta, rules=rules, opts=self._child())
        k8s.rbac.v1.RoleBinding(
            f"{self._name}-{role}",
            metadata=meta,
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": made.metadata["name"]},
            subjects=subjects,
            opts=self._child(),
        )

    def _meta(self, object_name: str) -> dict[str, Any]:
        return {"name": object_name, "namespace": self.namespace, "labels": labels(self._args.team, "team")}

    def _child(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self)


def quota_hard(quota: Quota) -> dict[str, str]:
    """Build `hard` of the ResourceQuota. Load balancers and node ports are denied: they would bypass the edge."""
    return {
        "requests.cpu": str(quota.cpu),
        "requests.memory": f"{quota.memory_gib}Gi",
        "requests.nvidia.com/gpu": str(quota.gpus),
        "requests.storage": f"{quota.storage_gib}Gi",
        "pods": str(quota.pods),
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }


def container_limits() -> list[dict[str, Any]]:
    """Build the defaults for containers without resources, which the quota would otherwise reject."""
    return [
        {
            "type": "Container",
            "default": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "2Gi"},
            "defaultRequest": {"cpu": "100m", "memory": "256Mi", "ephemeral-storage": "256Mi"},
        }
    ]


def network_specs(
    team: str, outside_ports: Sequence[int], egress: Sequence[Destination] = ()
) -> dict[str, dict[str, Any]]:
    """Return role → NetworkPolicy spec: deny all; allow DNS, MLflow, the team's Prefect, and data for training."""
    services = [
        *to_dns(),
        to_namespace(MLFLOW_NAMESPACE, Port.MLFLOW),
        to_namespace(prefect_namespace(team), Port.PREFECT),
        to_pod_identity(),
        *map(to_destination, egress),
    ]
    made: dict[str, dict[str, Any]] = {
        "closed": closed_spec(),
        "platform-services": policy_spec(ALL_PODS, egress=services),
    }
    if outside_ports:
        # Kubernetes sets this label on the pods of a Job, so no team can forget it and no server has it by mistake.
        training = {"matchExpressions": [{"key": "batch.kubernetes.io/job-name", "operator": "Exists"}]}
        made["training-data"] = policy_spec(training, egress=[to_outside(*outside_ports)])
    return made


def _group(name: str) -> dict[str, Any]:
    return {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": name}
