"""The rules that every resource graph of the platform keeps, as plain functions: tests run them on graphs, `infra_stack/policy` in `pulumi preview`.

What a rule cannot hold for stands in `EXEMPTIONS`, with the reason. Rules on pods are in `pod_policies`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from platform_lib.infra.base.naming import (
    AUTH_NAMESPACE,
    DATABASE_NAMESPACE,
    INGRESS_NAMESPACE,
    MLFLOW_NAMESPACE,
    MONITORING_NAMESPACE,
    TEAM_PREFIX,
)
from platform_lib.infra.policy.pod_rules import pod_messages, pod_spec

RELEASE = "kubernetes:helm.sh/v3:Release"
_SECRET_WORD = re.compile(r"(pass(word|wd)?|secret|token|api_?key|credential)s?$", re.IGNORECASE)
_NAMES_A_SECRET = re.compile(r"(existing|config|Key|Name|Ref|File|Path|Claim)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One resource as a rule sees it."""

    type: str
    name: str
    urn: str
    inputs: Mapping[str, Any]
    protect: bool = False
    provider: str = ""
    """Name of the explicit provider; empty for a default one."""

    @property
    def kind(self) -> str:
        return str(self.inputs.get("kind") or "")

    @property
    def metadata(self) -> Mapping[str, Any]:
        found = self.inputs.get("metadata")
        return found if isinstance(found, Mapping) else {}

    @property
    def namespace(self) -> str:
        return str(self.metadata.get("namespace") or self.inputs.get("namespace") or "")

    @property
    def spec(self) -> Mapping[str, Any]:
        found = self.inputs.get("spec")
        return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One rule: `check` looks at a resource, `check_all` at the whole stack."""

    name: str
    description: str
    check: Callable[[Declared], Iterator[str]] | None = None
    check_all: Callable[[Sequence[Declared]], Iterator[tuple[Declared, str]]] | None = None


@dataclass(frozen=True, kw_only=True)
class Exemption:
    """A resource that a rule does not hold for, and why."""

    policy: str
    kind: str
    namespace: str = ""
    object_name: str
    reason: str

    def covers(self, policy: str, resource: Declared) -> bool:
        """Whether the rule is waived for this resource."""
        object_name = resource.metadata.get("name") or resource.inputs.get("name")
        return (policy, resource.kind, resource.namespace, object_name) == (
            self.policy,
            self.kind,
            self.namespace,
            self.object_name,
        )


@dataclass(frozen=True, kw_only=True)
class Violation:
    """What a rule found."""

    policy: str
    resource: Declared = field(repr=False)
    message: str


EXEMPTIONS: tuple[Exemption, ...] = (
    *(
        Exemption(policy="networks-are-closed", kind="Namespace", object_name=namespace, reason=reason)
        for namespace, reason in {
            INGRESS_NAMESPACE: "Traefik and cert-manager ask the API server, which no NetworkPolicy can name; Traefik has a policy of its own.",
            DATABASE_NAMESPACE: "CloudNativePG's operator asks the API server and answers its webhooks; Postgres asks for a password and TLS.",
            MONITORING_NAMESPACE: "Prometheus reads every namespace and the API server; the three servers have policies of their own.",
        }.items()
    ),
    Exemption(
        policy="routes-need-tls-and-a-login",
        kind="IngressRoute",
        namespace=AUTH_NAMESPACE,
        object_name="login",
        reason="It is the login itself.",
    ),
    Exemption(
        policy="networks-open-to-named-peers",
        kind="NetworkPolicy",
        namespace=INGRESS_NAMESPACE,
        object_name="traefik",
        reason="It is the way in: ports 8000 and 8443 are for everyone.",
    ),
    Exemption(
        policy="networks-open-to-named-peers",
        kind="NetworkPolicy",
        namespace=MONITORING_NAMESPACE,
        object_name="monitoring-operator",
        reason="The API server asks the operator's webhook, and no NetworkPolicy can name the API server; the webhook's port alone is open.",
    ),
    Exemption(
        policy="networks-open-to-named-peers",
        kind="NetworkPolicy",
        namespace=MONITORING_NAMESPACE,
        object_name="keda",
        reason="The API server asks KEDA for metrics and about ScaledObjects, and no NetworkPolicy can name the API server.",
    ),
)


def violations(resources: Sequence[Declared], exemptions: Sequence[Exemption] = EXEMPTIONS) -> list[Violation]:
    """Everything that the rules find, less what is exempt."""
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
        yield "it has no explicit provider: it would go to whatever cluster the runner's kubeconfig names. Pass the component's provider."


def _release(resource: Declared) -> Iterator[str]:
    if resource.type != RELEASE:
        return
    for key in ("name", "version", "timeout", "namespace"):
        if not resource.inputs.get(key):
            yield f"`{key}` is not set: an install has to be the same one tomorrow."
    yield from _plain_secrets(resource.inputs.get("values") or {}, "values")


def _plain_secrets(values: Any, path: str) -> Iterator[str]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            is_text = isinstance(value, str) and value not in ("", "true", "false")
            if is_text and _SECRET_WORD.search(str(key)) and not _NAMES_A_SECRET.search(str(key)):
                yield f"{path}.{key} holds a secret in plain text: name an existing Secret instead."
            yield from _plain_secrets(value, f"{path}.{key}")
    elif isinstance(values, Sequence) and not isinstance(values, str):
        for index, value in enumerate(values):
            yield from _plain_secrets(value, f"{path}[{index}]")


def _route(resource: Declared) -> Iterator[str]:
    if resource.kind == "Ingress":
        yield "an Ingress passes by the login and the admission policy: make an IngressRoute."
    if resource.kind != "IngressRoute":
        return
    if list(resource.spec.get("entryPoints") or []) != ["websecure"] or resource.spec.get("tls") is None:
        yield "the route has to be on `websecure` alone and have `tls`."
    if resource.namespace.startswith(TEAM_PREFIX):
        return  # the model server asks for a key itself, and refuses to start without one
    for route in resource.spec.get("routes") or []:
        names = [middleware.get("name") for middleware in route.get("middlewares") or []]
        if "ui-login" not in names:
            yield f"the route {route.get('match')} has no login: put the middleware ui-login before it."


def _service(resource: Declared) -> Iterator[str]:
    if resource.kind == "Service" and (
        resource.spec.get("type") in ("LoadBalancer", "NodePort") or resource.spec.get("externalIPs")
    ):
        yield "the Service is reached from outside, past the edge: make it ClusterIP and route to it."


def _stateful(resource: Declared) -> Iterator[str]:
    space = resource.kind == "Namespace" and str(resource.metadata.get("name", ""))
    holds_data = space and (space.startswith(TEAM_PREFIX) or space in (DATABASE_NAMESPACE, MLFLOW_NAMESPACE))
    is_database = resource.kind == "Cluster" and str(resource.inputs.get("apiVersion", "")).startswith(
        "postgresql.cnpg.io/"
    )
    if (holds_data or is_database or resource.kind == "PersistentVolumeClaim") and not resource.protect:
        yield "it holds data and is not protected: one `pulumi destroy` would lose it. Set protect=True."


def _roles(resource: Declared) -> Iterator[str]:
    if resource.kind in ("RoleBinding", "ClusterRoleBinding") and (resource.inputs.get("roleRef") or {}).get(
        "name"
    ) in ("cluster-admin", "admin"):
        yield "it binds an administrator's role: name what is needed."
    if resource.kind not in ("Role", "ClusterRole"):
        return
    for rule in resource.inputs.get("rules") or []:
        verbs, things = set(rule.get("verbs") or []), set(rule.get("resources") or [])
        if "*" in verbs or "*" in things or "*" in set(rule.get("apiGroups") or []):
            yield "a rule has `*`: name verbs, resources and groups."
        if verbs & {"escalate", "bind", "impersonate"}:
            yield "a rule lets its owner become somebody else."
        if "secrets" in things and not rule.get("resourceNames"):
            yield "a rule opens every Secret of the namespace: name them."


def _namespace(resource: Declared) -> Iterator[str]:
    if resource.kind == "Namespace":
        level = (resource.metadata.get("labels") or {}).get("pod-security.kubernetes.io/enforce")
        if level != "restricted":
            yield f"pod-security.kubernetes.io/enforce is {level or 'not set'}: set it to restricted."


def _peers(resource: Declared) -> Iterator[str]:
    if resource.kind != "NetworkPolicy":
        return
    for rule in resource.spec.get("ingress") or []:
        if not rule.get("from"):
            yield "an ingress rule is open to everyone: name the namespaces or pods."
    for rule in resource.spec.get("egress") or []:
        if not rule.get("to"):
            yield "an egress rule leads anywhere: name where."
        for peer in rule.get("to") or []:
            block = peer.get("ipBlock") or {}
            if block.get("cidr") == "0.0.0.0/0" and "169.254.0.0/16" not in (block.get("except") or []):
                yield "an egress rule reaches 169.254.169.254, where a cloud hands out its nodes' credentials: except 169.254.0.0/16."


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
            yield one, "no NetworkPolicy closes it: any pod of the cluster reaches its pods."


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
                "it has `replicas` and an autoscaler: every `up` would undo what the autoscaler did. Leave replicas out.",
            )


def _rule(name: str, description: str, check: Callable[[Declared], Iterator[str]]) -> Policy:
    return Policy(name=name, description=description, check=check)


POLICIES: tuple[Policy, ...] = (
    _rule(
        "pods-are-restricted",
        "Pods of ours run without root, rights, a writable root or the API's token, with limits and pinned images.",
        _pods,
    ),
    _rule("providers-are-explicit", "Every Kubernetes object names its cluster.", _provider),
    _rule("releases-are-pinned", "Charts have name, version, timeout and no secret in their values.", _release),
    _rule("routes-need-tls-and-a-login", "Whatever is routed from outside has TLS, and a login or keys.", _route),
    _rule("services-stay-inside", "Only the edge is reached from outside.", _service),
    _rule("data-is-protected", "What holds data cannot be destroyed by one command.", _stateful),
    _rule("roles-name-what-they-open", "No wildcard, no administrator, no unnamed Secret.", _roles),
    _rule("namespaces-have-a-pod-security-level", "The API server itself refuses pods with rights.", _namespace),
    _rule("networks-open-to-named-peers", "A NetworkPolicy says who is let in and where pods may go.", _peers),
    Policy(name="networks-are-closed", description="Every namespace starts closed.", check_all=_closed),
    Policy(
        name="autoscalers-own-replicas", description="Nothing fixes the replicas of what is scaled.", check_all=_scaled
    ),
)
