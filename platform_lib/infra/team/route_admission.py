"""Restrict each team's routes to its own models, with a ValidatingAdmissionPolicy that the API server evaluates."""

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
    """The host that serves models."""

    models_host: str

    def __post_init__(self) -> None:
        DOMAIN.check("models_host", self.models_host)


class RouteAdmission(pulumi.ComponentResource):
    """The admission policy, bound to the namespace of every team."""

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
    """Build the spec of the policy: Traefik objects in a team's namespace cannot affect anything outside it."""
    is_route = "request.resource.resource != 'ingressroutes' || "
    # Only one form is allowed, so that no rule (a second ||, a regular expression, a host in capitals) hides another.
    host = models_host.replace(".", r"\\.")
    rule = rf"^Host\\(`{host}`\\) && PathPrefix\\(`/models/[a-z][a-z0-9-]*/`\\)$"
    model = "r.match.split('/models/')[1].split('/')[0]"
    owned = f"variables.models.exists(m, m.endsWith('*') ? {model}.startsWith(m.replace('*', '')) : m == {model})"
    routes, tls, annotations = "object.spec.routes", "object.spec.tls", "namespaceObject.metadata.annotations"
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
                "expression": f"has({annotations}) && '{MODELS_ANNOTATION}' in {annotations}"
                f" ? {annotations}['{MODELS_ANNOTATION}'].split(',') : []",
            },
        ],
        "validations": [
            {
                "expression": "request.resource.resource in ['ingressroutes', 'middlewares', 'traefikservices']",
                "message": "Teams may create IngressRoutes, Middlewares and TraefikServices only. "
                "The platform owns TLS and TCP objects.",
            },
            {
                "expression": is_route + f"{routes}.all(r, r.match.matches('{rule}'))",
                "message": f"The match of every route must be Host(`{models_host}`) && PathPrefix(`/models/NAME/`).",
            },
            {
                "expression": is_route + f"{routes}.all(r, !r.match.matches('{rule}') || {owned})",
                "messageExpression": "'this namespace owns the models ' + variables.models.join(', ')"
                " + ' and may not route others'",
            },
            {
                "expression": is_route + "(has(object.spec.entryPoints) && object.spec.entryPoints == ['websecure'])",
                "message": "entryPoints must be [websecure], because nothing is served without TLS.",
            },
            {
                "expression": is_route
                + f"(has({tls}) && !has({tls}.options) && !has({tls}.store) && !has({tls}.secretName)"
                f" && !has({tls}.certResolver) && !has({tls}.domains))",
                "message": "tls must be {}, because the platform owns the certificate and the TLS options.",
            },
            {
                "expression": is_route + "!has(object.spec.parentRefs)",
                "message": "parentRefs is not allowed, because it refers to other namespaces.",
            },
            {
                "expression": is_route + f"{routes}.all(r, !has(r.services) || r.services.all(s,"
                " (!has(s.namespace) || s.namespace == request.namespace) && !s.name.contains('@')))",
                "message": "A route may use services of its own namespace only.",
            },
            {
                "expression": is_route + f"{routes}.all(r, !has(r.middlewares) || r.middlewares.all(m,"
                " (!has(m.namespace) || m.namespace == request.namespace) && !m.name.contains('@')))",
                "message": "A route may use middlewares of its own namespace only.",
            },
            {
                "expression": is_route + f"{routes}.all(r, !has(r.priority) || r.priority == 0)",
                "message": "priority is not allowed, because a route could override those of another team.",
            },
        ],
    }
