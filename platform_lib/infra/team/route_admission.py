"""Keeps every team's routes to its own hosts and prefixes: a ValidatingAdmissionPolicy that the API server itself evaluates."""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.labels import TEAM, labels
from platform_lib.infra.base.setting_rules import DOMAIN
from platform_lib.infra.team.model_names import MODELS_ANNOTATION

POLICY_NAME = "mlp-team-routes"


@dataclass(frozen=True, kw_only=True)
class RouteAdmissionArgs:
    """Where models are reached."""

    models_host: str

    def __post_init__(self) -> None:
        DOMAIN.check("models_host", self.models_host)


class RouteAdmission(pulumi.ComponentResource):
    """The policy and its binding to every namespace of a team."""

    def __init__(self, name: str, args: RouteAdmissionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:RouteAdmission", name, None, opts)
        policy = k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
            name,
            metadata={"name": POLICY_NAME, "labels": labels("team-routes", "admission")},
            spec=policy_spec(args.models_host),
            opts=pulumi.ResourceOptions(parent=self),
        )
        k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            name,
            metadata={"name": POLICY_NAME, "labels": labels("team-routes", "admission")},
            spec={
                "policyName": policy.metadata["name"],
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {"matchExpressions": [{"key": TEAM, "operator": "Exists"}]}},
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def policy_spec(models_host: str) -> dict[str, Any]:
    """Spec of the policy: Traefik's objects in a team's namespace say nothing that reaches beyond it."""
    is_route = "request.resource.resource != 'ingressroutes' || "
    # One form alone, so that no clever rule (a second ||, a regular expression, a host in capitals) means more than it seems to.
    rule = f"^Host\\\\(`{models_host.replace('.', chr(92) * 2 + '.')}`\\\\) && PathPrefix\\\\(`/models/[a-z][a-z0-9-]*/`\\\\)$"
    model = "r.match.split('/models/')[1].split('/')[0]"
    owned = f"variables.models.exists(m, m.endsWith('*') ? {model}.startsWith(m.replace('*', '')) : m == {model})"
    routes = "object.spec.routes"
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": ["traefik.io"],
                    "apiVersions": ["*"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["*"],
                }
            ]
        },
        "variables": [
            {
                "name": "models",
                "expression": f"has(namespaceObject.metadata.annotations) && '{MODELS_ANNOTATION}' in namespaceObject.metadata.annotations"
                f" ? namespaceObject.metadata.annotations['{MODELS_ANNOTATION}'].split(',') : []",
            },
        ],
        "validations": [
            {
                "expression": "request.resource.resource in ['ingressroutes', 'middlewares', 'traefikservices']",
                "message": "A team makes IngressRoutes, Middlewares and TraefikServices; TLS and TCP are the platform's.",
            },
            {
                "expression": is_route + f"{routes}.all(r, r.match.matches('{rule}'))",
                "message": f"Every route's match has to be Host(`{models_host}`) && PathPrefix(`/models/NAME/`).",
            },
            {
                "expression": is_route + f"{routes}.all(r, !r.match.matches('{rule}') || {owned})",
                "messageExpression": "'this namespace owns the models ' + variables.models.join(', ') + ' and may route no other'",
            },
            {
                "expression": is_route + "(has(object.spec.entryPoints) && object.spec.entryPoints == ['websecure'])",
                "message": "entryPoints has to be [websecure]: nothing is served without TLS.",
            },
            {
                "expression": is_route
                + "(has(object.spec.tls) && !has(object.spec.tls.options) && !has(object.spec.tls.store) && !has(object.spec.tls.secretName)"
                " && !has(object.spec.tls.certResolver) && !has(object.spec.tls.domains))",
                "message": "tls has to be {}: certificate and TLS options are the platform's.",
            },
            {
                "expression": is_route + "!has(object.spec.parentRefs)",
                "message": "parentRefs leads into other namespaces.",
            },
            {
                "expression": is_route
                + f"{routes}.all(r, !has(r.services) || r.services.all(s, (!has(s.namespace) || s.namespace == request.namespace)"
                " && !s.name.contains('@')))",
                "message": "A route leads to services of its own namespace.",
            },
            {
                "expression": is_route
                + f"{routes}.all(r, !has(r.middlewares) || r.middlewares.all(m, (!has(m.namespace) || m.namespace == request.namespace)"
                " && !m.name.contains('@')))",
                "message": "A route uses middlewares of its own namespace.",
            },
            {
                "expression": is_route + f"{routes}.all(r, !has(r.priority) || r.priority == 0)",
                "message": "priority is left out: no route goes before another team's.",
            },
        ],
    }
