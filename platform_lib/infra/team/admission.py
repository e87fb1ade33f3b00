"""Keep what a team creates inside its namespace: ValidatingAdmissionPolicies that the API server itself evaluates.

Each kind has an allow-list of fields (`traefik_rules`, `service_rules`, `monitoring_rules`, `network_rules`); a kind
without one is refused (`GUARDED_GROUPS`).
Roles (`rbac`) say which kinds a team's CI may write at all; these policies hold for every caller in a team's namespace.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.labels import TEAM, labels
from platform_lib.infra.base.naming import EDGE_MIDDLEWARE
from platform_lib.infra.base.setting_rules import DOMAIN
from platform_lib.infra.team.allow_list import KindRule, names, policy_spec, text
from platform_lib.infra.team.monitoring_rules import DASHBOARDS, PROMETHEUS_RULES, SERVICE_MONITORS
from platform_lib.infra.team.network_rules import NETWORK_POLICIES, RESERVED_POLICIES
from platform_lib.infra.team.service_rules import SCALED_OBJECTS, SERVICES
from platform_lib.infra.team.traefik_rules import traefik_rules
from platform_lib.names import OUTPUTS_CONFIG_MAP

KINDS: Final = "kinds"
GUARDED_GROUPS: Final = {
    "traefik.io": ("ingressroutes", "middlewares", "traefikservices"),
    "monitoring.coreos.com": ("servicemonitors", "prometheusrules"),
    "networking.k8s.io": ("networkpolicies",),
    "keda.sh": ("scaledobjects",),
    "gateway.networking.k8s.io": (),
}
"""API group → resources that may be created in a team's namespace. The group's others reach beyond it."""
RESERVED: Final = {
    "networkpolicies": RESERVED_POLICIES,
    "configmaps": (OUTPUTS_CONFIG_MAP,),
    "serviceaccounts": ("deployer", "train"),
    "middlewares": (EDGE_MIDDLEWARE,),
}
"""Resource → names of the platform's own objects in a team's namespace. Roles cannot leave out a name."""


@dataclass(frozen=True, kw_only=True)
class TeamAdmissionArgs:
    """Where models are reached."""

    models_host: str

    def __post_init__(self) -> None:
        DOMAIN.check("models_host", self.models_host)


class TeamAdmission(pulumi.ComponentResource):
    """The policies, each with its binding to every namespace of a team."""

    def __init__(self, name: str, args: TeamAdmissionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:RouteAdmission", name, None, opts)
        for role, spec in policies(args.models_host).items():
            # The first of them had the component's own name before there were others.
            self._policy(name if role == "routes" else f"{name}-{role}", f"mlp-team-{role}", spec)
        self.register_outputs({})

    def _policy(self, name: str, object_name: str, spec: dict[str, Any]) -> None:
        child = pulumi.ResourceOptions(parent=self)
        metadata = {"name": object_name, "labels": labels("team-routes", "admission")}
        policy = k8s.admissionregistration.v1.ValidatingAdmissionPolicy(name, metadata=metadata, spec=spec, opts=child)
        k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            name,
            metadata=metadata,
            spec={
                "policyName": policy.metadata["name"],
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {"matchExpressions": [{"key": TEAM, "operator": "Exists"}]}},
            },
            opts=child,
        )


def team_rules(models_host: str) -> list[KindRule]:
    """The allow-list of every kind that has one."""
    return [
        *traefik_rules(models_host),
        SERVICES,
        SCALED_OBJECTS,
        SERVICE_MONITORS,
        PROMETHEUS_RULES,
        DASHBOARDS,
        NETWORK_POLICIES,
    ]


def policies(models_host: str) -> dict[str, dict[str, Any]]:
    """Name of each policy, after `mlp-team-`, and its spec."""
    rules = {rule.name: policy_spec(rule) for rule in team_rules(models_host)}
    return {**rules, KINDS: kinds_spec(), "reserved": reserved_spec()}


def kinds_spec() -> dict[str, Any]:
    """Refuse kinds of the guarded groups that have no allow-list."""
    allowed = [f"{group}/{resource}" for group, resources in GUARDED_GROUPS.items() for resource in resources]
    listed = ", ".join(resource for resources in GUARDED_GROUPS.values() for resource in resources)
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": list(GUARDED_GROUPS),
                    "apiVersions": ["*"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["*"],
                    # A binding's namespace selector lets cluster-wide objects through, such as a Service's IPAddress.
                    "scope": "Namespaced",
                }
            ]
        },
        "validations": [
            {
                "expression": f"request.resource.group + '/' + request.resource.resource in {names(allowed)}",
                "messageExpression": "request.kind.kind + ' ' + request.name + "
                + text(f" is of a kind that is the platform's; of these groups a team may create {listed}. Remove it."),
            }
        ],
    }


def reserved_spec() -> dict[str, Any]:
    """Refuse changes of the platform's own objects by anyone who may not change the team's quota.

    The platform's engineers may change it. The controllers of kube-system have to: they empty a deleted namespace.
    """
    reserved = [f"{resource}/{name}" for resource, found in RESERVED.items() for name in found]
    may_change_quota = "authorizer.group('').resource('resourcequotas').namespace(request.namespace).check('update')"
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": ["", "networking.k8s.io", "traefik.io"],
                    "apiVersions": ["*"],
                    "operations": ["CREATE", "UPDATE", "DELETE"],
                    "resources": list(RESERVED),
                    "scope": "Namespaced",
                }
            ]
        },
        "matchConditions": [
            {
                "name": "is-reserved",
                "expression": f"request.resource.resource + '/' + request.name in {names(reserved)}",
            },
            {
                "name": "is-not-the-platform",
                "expression": "!('system:serviceaccounts:kube-system' in request.userInfo.groups)"
                f" && !{may_change_quota}.allowed()",
            },
        ],
        "validations": [
            {
                "expression": "false",
                "messageExpression": "request.kind.kind + ' ' + request.name + "
                + text(
                    " is the platform's; a team may create others of its kind. Leave it as it is, or take another name."
                ),
            }
        ],
    }
