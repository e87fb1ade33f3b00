"""What a team may open with its own NetworkPolicies, as plain data: named namespaces, and ports outside."""

from typing import Final

from platform_lib.infra.base.addresses import METADATA_ADDRESSES, METADATA_ADDRESSES_IPV6
from platform_lib.infra.base.labels import NAMESPACE_NAME
from platform_lib.infra.base.naming import MLFLOW_NAMESPACE, PREFECT_NAMESPACE, TEAM_PREFIX
from platform_lib.infra.team.allow_list import ANYTHING, Check, KindRule, Shape, Value, given, names, text

OUTSIDE_PORTS_ANNOTATION: Final = "mlp.platform/outside-ports"
"""On a team's namespace: comma-separated TCP ports outside the cluster that its pods may be opened to."""
DEFAULT_OUTSIDE_PORTS: Final = (443,)
"""Always allowed: request logs in a bucket, and OIDC issuers."""

_NAMESPACE: Final = Value(
    rule="{it}.size() == 1 && 'matchLabels' in {it} && {it}['matchLabels'].size() == 1"
    f" && {text(NAMESPACE_NAME)} in {{it}}['matchLabels']",
    shown="'a selector of unnamed namespaces'",
    remedy=f"select one namespace by its label {NAMESPACE_NAME}.",
)
_PODS: Final[dict[str, Shape]] = {"podSelector": ANYTHING, "namespaceSelector": _NAMESPACE}
_PORTS: Final[Shape] = [{"protocol": ANYTHING, "port": ANYTHING}]
_METADATA: Final = (METADATA_ADDRESSES, *METADATA_ADDRESSES_IPV6)
_OUTSIDE: Final = Value(
    rule=f"isCIDR({{it}}.cidr) && {names(_METADATA)}.all(m, !cidr(m).containsCIDR({{it}}.cidr)"
    " && (!cidr({it}.cidr).containsCIDR(m) || 'except' in {it} && m in {it}['except']))",
    shown="{it}.cidr",
    remedy=f"give a network without {METADATA_ADDRESSES} ({', '.join(METADATA_ADDRESSES_IPV6)} by IPv6), where a cloud"
    " serves its nodes' credentials: list them under except.",
)
_NAMED: Final = f"p.namespaceSelector.matchLabels[{text(NAMESPACE_NAME)}]"
_IS_NAMED: Final = (
    "has(p.namespaceSelector) && has(p.namespaceSelector.matchLabels)"
    f" && {text(NAMESPACE_NAME)} in p.namespaceSelector.matchLabels"
)
_ANNOTATIONS: Final = "namespaceObject.metadata.annotations"
_EGRESS: Final = "!has(object.spec.egress) || object.spec.egress.all(r, "

RESERVED_POLICIES: Final = ("closed", "platform-services", "training-data", "request-log")
"""The platform's own in a team's namespace, which open more; `admission` keeps a team from writing them."""

NETWORK_POLICIES: Final = KindRule(
    name="network",
    conditions={"is-not-the-platforms": f"!(request.name in {names(RESERVED_POLICIES)})"},
    group="networking.k8s.io",
    resource="networkpolicies",
    kind="NetworkPolicy",
    fields={
        "spec": {
            "podSelector": ANYTHING,
            "policyTypes": ANYTHING,
            "ingress": [{"from": [_PODS], "ports": _PORTS}],
            "egress": [{"to": [{**_PODS, "ipBlock": _OUTSIDE}], "ports": _PORTS}],
        }
    },
    variables={
        "own": names([MLFLOW_NAMESPACE])
        + f" + [request.namespace, {text(PREFECT_NAMESPACE)} + request.namespace.substring({len(TEAM_PREFIX) - 1})]",
        "outside": f"[{', '.join(map(text, map(str, DEFAULT_OUTSIDE_PORTS)))}] + "
        f"(has({_ANNOTATIONS}) && {text(OUTSIDE_PORTS_ANNOTATION)} in {_ANNOTATIONS}"
        f" ? {_ANNOTATIONS}[{text(OUTSIDE_PORTS_ANNOTATION)}].split(',') : [])",
    },
    checks=[
        Check(
            expression="!has(object.spec.ingress) || object.spec.ingress.all(r, 'from' in r && r['from'].size() > 0)",
            message=f"{given('NetworkPolicy')} + ' lets everyone in; a team may let in named namespaces and its"
            " own pods: list them under from.'",
        ),
        Check(
            expression=f"{_EGRESS}has(r.to) && r.to.size() > 0 && (has(r.ports) && r.ports.size() > 0 ||"
            " r.to.all(p, has(p.podSelector) && !has(p.namespaceSelector))))",
            message=f"{given('NetworkPolicy')} + ' opens the way to everywhere, or to every port; a team may open named"
            " namespaces and ports: list both under to and ports.'",
        ),
        Check(
            expression=f"{_EGRESS}!has(r.to) || r.to.all(p, !({_IS_NAMED}) || {_NAMED} in variables.own"
            f" || {_NAMED}.startsWith({text(TEAM_PREFIX)})"
            f" || {_NAMED} == 'kube-system' && has(r.ports) && r.ports.all(o, has(o.port) && o.port == 53)))",
            message=f"{given('NetworkPolicy')} + ' opens the way to a namespace of the platform; a team may open ' +"
            " variables.own.join(', ') + ', namespaces of teams, and port 53 of kube-system; remove the others.'",
        ),
        Check(
            expression=f"{_EGRESS}!has(r.to) || !r.to.exists(p, has(p.ipBlock)) ||"
            " has(r.ports) && r.ports.all(o, has(o.port) && string(o.port) in variables.outside))",
            message=f"{given('NetworkPolicy')} + ' opens ports outside the cluster; this team may open ' +"
            " variables.outside.join(', ') + '; ask the platform for others (its setting egress).'",
        ),
    ],
)
