"""Rules for every resource graph of the platform, as plain functions; see `pod_rules` and `aws_rules` as well.

Tests run them on graphs; `infra_stack/policy` runs them in `pulumi preview`. `exemptions` lists the resources to which
a rule does not apply.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from platform_lib.infra.base.addresses import API_SERVER_PORTS, DNS_PORT, opens_credentials
from platform_lib.infra.base.labels import POD_SECURITY
from platform_lib.infra.base.naming import DATABASE_NAMESPACE, MLFLOW_NAMESPACE, TEAM_PREFIX
from platform_lib.infra.policy.aws_rules import AWS_POLICIES
from platform_lib.infra.policy.definitions import Declared, Exemption, Policy, Violation
from platform_lib.infra.policy.exemptions import EXEMPTIONS
from platform_lib.infra.policy.pod_rules import pod_messages, pod_spec

RELEASE = "kubernetes:helm.sh/v3:Release"
_SECRET_WORD = re.compile(r"(pass(word|wd)?|secret|token|api_?key|credential)s?$", re.IGNORECASE)
_NAMES_A_SECRET = re.compile(r"(existing|config|Key|Name|Ref|File|Path|Claim)", re.IGNORECASE)


def violations(resources: Sequence[Declared], exemptions: Sequence[Exemption] = EXEMPTIONS) -> list[Violation]:
    """Return every violation that is not exempt."""
    found: list[Violation] = []
    for policy in POLICIES:
        if policy.check is not None:
            found += [
                Violation(policy=policy.name, resource=one, message=text)
                for one in resources
                for text in policy.check(one)
            ]
        if policy.check_all is not None:
            found += [
                Violation(policy=policy.name, resource=one, message=text) for one, text in policy.check_all(resources)
            ]
    return [one for one in found if not any(exemption.covers(one.policy, one.resource) for exemption in exemptions)]


def _pods(resource: Declared) -> Iterator[str]:
    spec = pod_spec(resource.inputs)
    if spec is not None:
        yield from pod_messages(spec)


def _provider(resource: Declared) -> Iterator[str]:
    if resource.type.startswith("kubernetes:") and not resource.provider:
        yield "it has no explicit provider and would go to the current cluster. Pass the component's provider."


def _release(resource: Declared) -> Iterator[str]:
    if resource.type != RELEASE:
        return
    for key in ("name", "version", "timeout", "namespace"):
        if not resource.inputs.get(key):
            yield f"`{key}` is not set. Set it, so that every install is the same."
    yield from _plain_secrets(resource.inputs.get("values") or {}, "values")


def _plain_secrets(values: Any, path: str) -> Iterator[str]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            is_text = isinstance(value, str) and value not in ("", "true", "false")
            if is_text and _SECRET_WORD.search(str(key)) and not _NAMES_A_SECRET.search(str(key)):
                yield f"{path}.{key} holds a secret in plain text. Refer to an existing Secret instead."
            yield from _plain_secrets(value, f"{path}.{key}")
    elif isinstance(values, Sequence) and not isinstance(values, str):
        for index, value in enumerate(values):
            yield from _plain_secrets(value, f"{path}[{index}]")


def _route(resource: Declared) -> Iterator[str]:
    routes = [rule for rule in resource.spec.get("rules") or [] if rule.get("http")]
    if resource.kind == "Ingress" and (routes or resource.spec.get("defaultBackend")):  # else it shows a certificate
        yield "an Ingress bypasses the login and the admission policy. Use an IngressRoute."
    if resource.kind != "IngressRoute":
        return
    if list(resource.spec.get("entryPoints") or []) != ["websecure"] or resource.spec.get("tls") is None:
        yield "the route must use the entry point `websecure` only, and set `tls`."
    if resource.namespace.startswith(TEAM_PREFIX):
        return  # the model server checks keys and does not start without one
    for route in resource.spec.get("routes") or []:
        names = [middleware.get("name") for middleware in route.get("middlewares") or []]
        if "ui-login" not in names:
            yield f"the route {route.get('match')} has no login. Add the middleware ui-login."


def _service(resource: Declared) -> Iterator[str]:
    if resource.kind == "Service" and (
        resource.spec.get("type") in ("LoadBalancer", "NodePort") or resource.spec.get("externalIPs")
    ):
        yield "the Service can be reached from outside without the edge. Make it ClusterIP and add a route."


def _stateful(resource: Declared) -> Iterator[str]:
    space = resource.kind == "Namespace" and str(resource.metadata.get("name", ""))
    holds_data = space and (space.startswith(TEAM_PREFIX) or space in (DATABASE_NAMESPACE, MLFLOW_NAMESPACE))
    is_database = resource.kind == "Cluster" and str(resource.inputs.get("apiVersion", "")).startswith(
        "postgresql.cnpg.io/"
    )
    if (holds_data or is_database or resource.kind == "PersistentVolumeClaim") and not resource.protect:
        yield "it holds data and is not protected, so one `pulumi destroy` would delete the data. Set protect=True."


def _roles(resource: Declared) -> Iterator[str]:
    if resource.kind in ("RoleBinding", "ClusterRoleBinding") and (resource.inputs.get("roleRef") or {}).get(
        "name"
    ) in ("cluster-admin", "admin"):
        yield "it binds an administrator role. Bind a role with the required permissions only."
    if resource.kind not in ("Role", "ClusterRole"):
        return
    for rule in resource.inputs.get("rules") or []:
        verbs, things = set(rule.get("verbs") or []), set(rule.get("resources") or [])
        if "*" in verbs or "*" in things or "*" in set(rule.get("apiGroups") or []):
            yield "a rule contains `*`. Name the verbs, resources and groups."
        if verbs & {"escalate", "bind", "impersonate"}:
            yield "a rule allows escalate, bind or impersonate, which grant further permissions. Remove them."
        if "secrets" in things and not rule.get("resourceNames"):
            yield "a rule allows access to every Secret of the namespace. Name them in resourceNames."


def _namespace(resource: Declared) -> Iterator[str]:
    if resource.kind == "Namespace":
        level = (resource.metadata.get("labels") or {}).get(f"{POD_SECURITY}/enforce")
        if level != "restricted":
            yield f"{POD_SECURITY}/enforce is {level or 'not set'}. Set it to restricted."


def _peers(resource: Declared) -> Iterator[str]:
    if resource.kind != "NetworkPolicy":
        return
    for rule in resource.spec.get("ingress") or []:
        if not rule.get("from"):
            yield "an ingress rule allows everyone. Name the namespaces or pods."
    for rule in resource.spec.get("egress") or []:
        ports = {port.get("port") for port in rule.get("ports") or []}
        if not rule.get("to") and not (ports and ports <= set(API_SERVER_PORTS)):
            yield (
                "an egress rule allows every destination. Name the destinations; only a rule for ports of the API "
                f"server ({', '.join(map(str, API_SERVER_PORTS))}) may do without."
            )
        for block in [peer["ipBlock"] for peer in rule.get("to") or [] if peer.get("ipBlock")]:
            missing = opens_credentials(block["cidr"], block.get("except") or [])
            if missing and ports != {DNS_PORT}:
                yield (
                    f"an egress rule to {block['cidr']} allows addresses such as 169.254.169.254, where a cloud "
                    f"provider serves its nodes' credentials. Add {', '.join(missing)} to its `except`."
                )


def _closed(resources: Sequence[Declared]) -> Iterator[tuple[Declared, str]]:
    closed = {
        one.namespace
        for one in resources
        if one.kind == "NetworkPolicy"
        and not one.spec.get("podSelector")
        and set(one.spec.get("policyTypes") or []) == {"Ingress", "Egress"}
        and not one.spec.get("ingress")
        and not one.spec.get("egress")
    }
    for one in resources:
        if one.kind == "Namespace" and one.metadata.get("name") not in closed:
            yield (
                one,
                "no NetworkPolicy denies traffic by default, so every pod can connect. Add `closed_spec`.",
            )


def _scaled(resources: Sequence[Declared]) -> Iterator[tuple[Declared, str]]:
    targets = {
        (one.namespace, (one.spec.get("scaleTargetRef") or {}).get("name"))
        for one in resources
        if "scaleTargetRef" in one.spec
    }
    for one in resources:
        if one.kind == "Deployment" and (one.namespace, one.metadata.get("name")) in targets and "replicas" in one.spec:
            yield (
                one,
                "it sets `replicas`, so every `pulumi up` would undo its autoscaler. Remove `replicas`.",
            )


def _rule(name: str, description: str, check: Callable[[Declared], Iterator[str]]) -> Policy:
    return Policy(name=name, description=description, check=check)


POLICIES: tuple[Policy, ...] = (
    _rule(
        "pods-are-restricted",
        "Pods run without root, privileges, a writable root or an API token, and with limits and pinned images.",
        _pods,
    ),
    _rule("providers-are-explicit", "Every Kubernetes object names its cluster.", _provider),
    _rule(
        "releases-are-pinned",
        "Helm releases set name, version and timeout, and have no secret in their values.",
        _release,
    ),
    _rule("routes-need-tls-and-a-login", "Every route from outside has TLS, and a login or API keys.", _route),
    _rule("services-stay-inside", "Only the edge can be reached from outside.", _service),
    _rule("data-is-protected", "Resources that hold data are protected from deletion.", _stateful),
    _rule(
        "roles-name-what-they-open", "Roles have no wildcard, no administrator rights and no unnamed Secret.", _roles
    ),
    _rule(
        "namespaces-have-a-pod-security-level", "The API server rejects privileged pods in every namespace.", _namespace
    ),
    _rule(
        "networks-open-to-named-peers",
        "Every NetworkPolicy names who may connect and where pods may connect to.",
        _peers,
    ),
    Policy(name="networks-are-closed", description="Every namespace denies traffic by default.", check_all=_closed),
    Policy(
        name="autoscalers-own-replicas",
        description="Only the autoscaler sets the number of replicas.",
        check_all=_scaled,
    ),
    *AWS_POLICIES,
)
