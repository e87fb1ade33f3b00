"""Each rule reports its violation, the example stacks pass all rules, and every exemption is needed."""

import copy
from typing import Any

import pytest

from platform_lib.infra.policy.definitions import Declared
from platform_lib.infra.policy.exemptions import EXEMPTIONS
from platform_lib.infra.policy.pack import pack_policies
from platform_lib.infra.policy.rules import POLICIES, RELEASE, violations
from tests.infra.harness.declared import declared, run_pack
from tests.infra.harness.graph import Graph
from tests.infra.model.endpoints import graph as model_endpoint
from tests.infra.policy.aws_violations import AWS_VIOLATIONS, GOOD
from tests.infra.stacks import AWS_OPTIONS, EXAMPLES, run_stack

CONTAINER: dict[str, Any] = {
    "name": "main",
    "image": "registry.example.com/app:1.2.3",
    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
}
POD: dict[str, Any] = {
    "automountServiceAccountToken": False,
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [CONTAINER],
}


def thing(
    kind: str, spec: Any = None, *, namespace: str = "team-red", name: str = "it", protect: bool = False, **inputs: Any
) -> Declared:
    metadata = {"name": name, "namespace": namespace, **inputs.pop("metadata", {})}
    body = {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": metadata,
        **({} if spec is None else {"spec": spec}),
        **inputs,
    }
    return Declared(
        type=f"kubernetes:x/v1:{kind}",
        name=name,
        urn=f"urn::{kind}::{name}",
        inputs=body,
        protect=protect,
        provider="cluster",
    )


def pod(path: str, value: Any) -> Declared:
    """A Deployment whose pod has one thing changed; `containers.0.image` and the like."""
    spec = copy.deepcopy(POD)
    *parents, last = path.split(".")
    place: Any = spec
    for key in parents:
        place = place[int(key)] if key.isdigit() else place[key]
    place[last] = value
    return thing("Deployment", {"template": {"spec": spec}})


def release(**inputs: Any) -> Declared:
    given = {"name": "x", "version": "1.0.0", "timeout": 600, "namespace": "mlp-auth", **inputs}
    return Declared(type=RELEASE, name="x", urn="urn::x", inputs=given, provider="cluster")


def route(**spec: Any) -> Declared:
    made = {
        "entryPoints": ["websecure"],
        "tls": {},
        "routes": [{"match": "Host(`a`)", "middlewares": [{"name": "ui-login"}]}],
        **spec,
    }
    return thing("IngressRoute", made, namespace="mlp-mlflow")


CLOSED = thing("NetworkPolicy", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}, namespace="mlp-x")
VIOLATIONS: list[tuple[str, list[Declared]]] = [
    *(
        ("pods-are-restricted", [pod(path, value)])
        for path, value in {
            "hostNetwork": True,
            "automountServiceAccountToken": None,
            "securityContext": {},
            "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
            "containers.0.securityContext.readOnlyRootFilesystem": False,
            "containers.0.securityContext.allowPrivilegeEscalation": True,
            "containers.0.securityContext.capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
            "containers.0.resources.limits": {"memory": "1Gi"},
            "containers.0.image": "app",
            "containers.0.env": [{"name": "DB_PASSWORD", "value": "x"}],
            "initContainers": [{"name": "first", "image": "app:latest"}],
        }.items()
    ),
    ("providers-are-explicit", [Declared(type="kubernetes:core/v1:ConfigMap", name="x", urn="u", inputs={})]),
    ("releases-are-pinned", [release(version=None)]),
    ("releases-are-pinned", [release(values={"auth": [{"adminPassword": "hunter2"}]})]),
    ("routes-need-tls-and-a-login", [route(entryPoints=["web"])]),
    ("routes-need-tls-and-a-login", [route(tls=None)]),
    ("routes-need-tls-and-a-login", [route(routes=[{"match": "Host(`a`)"}])]),
    ("routes-need-tls-and-a-login", [thing("Ingress", {"defaultBackend": {"service": {"name": "mlflow"}}})]),
    ("routes-need-tls-and-a-login", [thing("Ingress", {"rules": [{"http": {"paths": [{"path": "/"}]}}]})]),
    ("services-stay-inside", [thing("Service", {"type": "LoadBalancer"})]),
    ("data-is-protected", [thing("PersistentVolumeClaim", {})]),
    ("data-is-protected", [thing("Cluster", {}, apiVersion="postgresql.cnpg.io/v1")]),
    (
        "data-is-protected",
        [
            thing(
                "Namespace", name="team-red", metadata={"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
            ),
            CLOSED,
        ],
    ),
    ("roles-name-what-they-open", [thing("Role", rules=[{"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}])]),
    (
        "roles-name-what-they-open",
        [thing("Role", rules=[{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}])],
    ),
    (
        "roles-name-what-they-open",
        [thing("Role", rules=[{"apiGroups": ["x"], "resources": ["roles"], "verbs": ["bind"]}])],
    ),
    ("roles-name-what-they-open", [thing("ClusterRoleBinding", roleRef={"name": "cluster-admin"})]),
    ("namespaces-have-a-pod-security-level", [thing("Namespace", name="mlp-x", metadata={"labels": {}}), CLOSED]),
    ("networks-open-to-named-peers", [thing("NetworkPolicy", {"ingress": [{"ports": [{"port": 80}]}]})]),
    ("networks-open-to-named-peers", [thing("NetworkPolicy", {"egress": [{"ports": [{"port": 80}]}]})]),
    (
        "networks-open-to-named-peers",
        [thing("NetworkPolicy", {"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]})],
    ),
    (
        "networks-open-to-named-peers",
        [thing("NetworkPolicy", {"egress": [{"to": [{"ipBlock": {"cidr": "::/0", "except": ["fe80::/10"]}}]}]})],
    ),
    (
        "networks-open-to-named-peers",
        [
            thing(
                "NetworkPolicy",
                {"egress": [{"to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}], "ports": [{"port": 80}]}]},
            )
        ],
    ),
    (
        "networks-are-closed",
        [
            thing("Namespace", name="mlp-y", metadata={"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}),
            CLOSED,
        ],
    ),
    (
        "autoscalers-own-replicas",
        [thing("Deployment", {"replicas": 2}), thing("HorizontalPodAutoscaler", {"scaleTargetRef": {"name": "it"}})],
    ),
    *AWS_VIOLATIONS,
]


@pytest.fixture(scope="module")
def graphs() -> dict[str, Graph]:
    return {name: run_stack(name, **(AWS_OPTIONS if name == "aws" else {})) for name in EXAMPLES}


@pytest.mark.parametrize(
    ("policy", "resources"), VIOLATIONS, ids=[f"{number}-{policy}" for number, (policy, _) in enumerate(VIOLATIONS)]
)
def test_a_rule_reports_its_violation(policy: str, resources: list[Declared]) -> None:
    assert policy in {found.policy for found in violations(resources)}


def test_every_rule_has_a_test_of_its_violation() -> None:
    assert {policy for policy, _ in VIOLATIONS} == {policy.name for policy in POLICIES}


def test_a_compliant_object_passes() -> None:
    right = [
        thing("Deployment", {"template": {"spec": POD}}),
        release(values={"auth": {"existingSecret": "x"}}),
        route(),
        CLOSED,
        *GOOD,
    ]
    assert violations(right) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_stacks_comply_with_every_rule(graphs: dict[str, Graph], name: str) -> None:
    assert violations(declared(graphs[name])) == []


def test_a_model_endpoint_complies_with_every_rule() -> None:
    assert violations(declared(model_endpoint())) == []


@pytest.mark.parametrize("exemption", EXEMPTIONS, ids=lambda e: f"{e.policy}-{e.object_name}")
def test_every_exemption_is_needed_and_gives_a_reason(graphs: dict[str, Graph], exemption: Any) -> None:
    others = [other for other in EXEMPTIONS if other != exemption]
    assert any(violations(declared(graph), others) for graph in graphs.values())
    assert len(exemption.reason) > 20


def test_the_pack_reports_what_the_rules_find(graphs: dict[str, Graph]) -> None:
    graph = copy.deepcopy(graphs["local"])
    assert run_pack(graph, pack_policies()) == []
    route = next(r for r in graph.kubernetes("IngressRoute") if r.namespace == "mlp-mlflow")
    closed = next(r for r in graph.kubernetes("NetworkPolicy") if r.name.endswith("mlp-auth-closed"))
    route.inputs["spec"]["routes"][0]["middlewares"] = []
    graph.resources.remove(closed)
    assert {policy for policy, _ in run_pack(graph, pack_policies())} == {
        "routes-need-tls-and-a-login",
        "networks-are-closed",
    }
