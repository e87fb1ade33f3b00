"""Two teams on a real API server with the platform's admission policies, and a real Traefik in front of their pods."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pulumi
import pulumi_kubernetes as k8s
import yaml

from platform_lib.infra.base import naming
from platform_lib.infra.base.mirrors import Mirrors
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.edge.ingress import Ingress, IngressArgs
from platform_lib.infra.edge.tls import CERTIFICATE_SECRET
from platform_lib.infra.kubernetes.namespaces import Namespaces, NamespacesArgs
from platform_lib.infra.model.endpoint import ModelEndpoint
from platform_lib.infra.model.endpoint_args import ModelEndpointArgs
from platform_lib.infra.team.admission import TeamAdmission, TeamAdmissionArgs
from platform_lib.infra.team.team import Team, TeamArgs
from tests.engines import need_engine
from tests.infra.certificates import Authority, tls_secret
from tests.infra.chart_stubs.charts import facts
from tests.infra.edge_lab import Edge
from tests.infra.harness.apply import Stack, wait_until
from tests.infra.harness.graph import Graph, run_program
from tests.infra.harness.objects import Objects, Reference
from tests.infra.shared import SHARED
from tests.k8slab.crds import definitions
from tests.k8slab.lab import Lab
from tests.k8slab.network import Network

TEAM, OTHER = "churn", "fraud"
SPACE, OTHER_SPACE = f"team-{TEAM}", f"team-{OTHER}"
CI = f"system:serviceaccount:{SPACE}:deployer"
MODELS = SHARED.models_host
# One object that each policy refuses.
UNLISTED: list[dict[str, Any]] = [
    {"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute", "spec": {"routes": [], "ingressClassName": "x"}},
    {"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware", "spec": {"compress": {}}},
    {"apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService", "spec": {"weighted": {"sticky": {"cookie": {}}}}},
    {"apiVersion": "traefik.io/v1alpha1", "kind": "TLSOption", "spec": {}},
    {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 1}], "externalIPs": ["10.0.0.2"]}},
    {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "spec": {"selector": {}, "endpoints": [], "jobLabel": "x"},
    },
    {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "spec": {"groups": [{"name": "x", "labels": {"a": "b"}}]},
    },
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"labels": {"grafana_x": "1"}}},
    {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}, "egress": [{}]}},
    {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "spec": {"scaleTargetRef": {"name": "x"}, "triggers": [{"type": "cron", "metadata": {}}]},
    },
]
GROUPS = ("monitoring.coreos.com", "keda.sh")


def program(chart_mirror: str) -> Graph:
    """The edge, the admission policies and two teams, as the shared stack composes them."""

    def main() -> None:
        provider = k8s.Provider("cluster", kubeconfig="{}")
        opts = pulumi.ResourceOptions(provider=provider)
        placement = Placement(mirrors=Mirrors(chart_mirror=chart_mirror))
        spaces = Namespaces("platform", NamespacesArgs(teams=[TEAM, OTHER]), opts)
        after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[spaces]))
        edge = IngressArgs(namespace=spaces.namespaces[naming.INGRESS_NAMESPACE], placement=placement)
        ingress = Ingress("edge", edge, opts)
        TeamAdmission("team-routes", TeamAdmissionArgs(models_host=MODELS), after)
        for team in (TEAM, OTHER):
            own = replace(SHARED, request_log_uri="s3://logs/models")
            Team(f"team-{team}", TeamArgs(team=team, outputs=own, after_traefik=[ingress.release]), after)

    return run_program(main, project="security", stack="test")


def traefik_values(graph: Graph) -> dict[str, Any]:
    """What the program gives Traefik's chart."""
    [release] = [one for one in graph.of("kubernetes:helm.sh/v3:Release") if one.inputs["name"] == "traefik"]
    made: dict[str, Any] = release.inputs["values"]
    return made


@contextmanager
def custom_resources(lab: Lab) -> Iterator[None]:
    """Definitions of the kinds whose charts are not installed here; gone at the end."""
    objects = Objects(lab)
    made = []
    for definition in definitions(facts() / "schemas", GROUPS):
        reference = Reference(definition["apiVersion"], definition["kind"], "", definition["metadata"]["name"])
        if objects.get(reference) is None:
            objects.apply(definition)
            made.append(reference)
    try:
        for reference in made:
            lab.kubectl("wait", "--for=condition=Established", f"crd/{reference.name}", "--timeout=60s")
        yield
    finally:
        for reference in made:
            objects.delete(reference)


@contextmanager
def two_teams(lab: Lab, chart_mirror: Path, home: Path) -> Iterator[tuple[Stack, Graph]]:
    """The program, deployed; everything is removed at the end."""
    graph = program(str(chart_mirror))
    stack = Stack(lab, home)
    with custom_resources(lab):
        try:
            stack.up(graph)
            wait_for_policies(lab)
            yield stack, graph
        finally:
            stack.destroy(lift_protection=True)


def wait_for_policies(lab: Lab) -> None:
    """The API server reads a new policy a moment after it was stored: wait until each is enforced."""
    caller = Caller(lab, None)
    for body in UNLISTED:
        wait_until(lambda body=body: "mlp-team-" in caller.creates(body).text, f"{body['kind']} is not guarded")  # type: ignore[misc]


class Caller:
    """Somebody who asks the API server to create, change or delete an object in the namespace of team churn."""

    def __init__(self, lab: Lab, user: str | None = CI) -> None:
        self._lab, self._user = lab, user
        self._objects = Objects(lab, as_user=user)

    def creates(self, body: dict[str, Any], *, keep: bool = False) -> httpx.Response:
        """Create an object; without `keep` the API server decides and stores nothing."""
        meta = body.get("metadata", {})
        whole = {**body, "metadata": {"name": "claim", "namespace": SPACE, **meta}}
        reference = Objects(self._lab).reference(whole)
        path = Objects(self._lab).path(reference).rpartition("/")[0]
        params = {"fieldValidation": "Strict", **({} if keep else {"dryRun": "All"})}
        return self._lab.send("POST", path, whole, params=params, as_user=self._user)

    def applies(self, body: dict[str, Any]) -> Reference:
        """Server-side apply, stored."""
        meta = {"name": "claim", "namespace": SPACE, **body.get("metadata", {})}
        return self._objects.apply({**body, "metadata": meta})

    def deletes(self, api_version: str, kind: str, name: str) -> httpx.Response:
        """Delete an object of team churn."""
        path = Objects(self._lab).path(Reference(api_version, kind, SPACE, name))
        return self._lab.send("DELETE", path, as_user=self._user, params={"dryRun": "All"})


def why(answer: httpx.Response) -> str:
    """The sentence with which a policy of the platform refused; fails where something else answered."""
    message = str(answer.json().get("message", ""))
    assert answer.status_code == 422 and "ValidatingAdmissionPolicy 'mlp-team-" in message, (
        f"not refused by a policy of the platform: {answer.status_code} {message or answer.text}"
    )
    return message.partition("denied request: ")[2]


def traefik_definitions() -> dict[str, dict[str, Any]]:
    """Kind → OpenAPI schema of the definitions that the real Traefik reads, from its own release."""
    file = need_engine("k8slab").parent / "crds" / "traefik.yaml"
    found = yaml.load_all(file.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {
        item["spec"]["names"]["kind"]: item["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for item in found
        if item and item["spec"]["group"] == "traefik.io"
    }


def schema_of(group: str, kind: str) -> dict[str, Any]:
    """OpenAPI schema of a custom resource."""
    if group == "traefik.io":
        return traefik_definitions()[kind]
    [one] = [item for item in definitions(facts() / "schemas", [group]) if item["spec"]["names"]["kind"] == kind]
    schema: dict[str, Any] = one["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def copied(value: Any) -> Any:
    """A deep copy of JSON."""
    return json.loads(json.dumps(value))


def model_program(model: str, space: str = SPACE, **changes: Any) -> Graph:
    """A model endpoint as a team's `deploy/` makes it."""

    def main() -> None:
        provider = k8s.Provider("cluster", kubeconfig="{}")
        given: dict[str, Any] = {"exposure": "public", "min_replicas": 1, "max_replicas": 2, **changes}
        image = "registry.invalid/model@sha256:" + "0" * 64
        args = ModelEndpointArgs(model=model, namespace=space, image=image, shared=SHARED, keys="keys: []\n", **given)
        ModelEndpoint(model, args, pulumi.ResourceOptions(provider=provider))

    graph = run_program(main, project="model", stack="test")
    graph.one("kubernetes:apps/v1:Deployment").inputs["spec"]["minReadySeconds"] = 0
    return graph


@contextmanager
def real_traefik(stack: Stack, graph: Graph, network: Network, folder: Path) -> Iterator[Edge]:
    """The real Traefik as the program configures it, with a certificate for the models' host."""
    authority = Authority(folder)
    secret = tls_secret(CERTIFICATE_SECRET, naming.INGRESS_NAMESPACE, *authority.issue("models", [MODELS]))
    stack.objects.apply(secret)
    with Edge(network, authority.context()) as edge:
        edge.traefik(naming.INGRESS_NAMESPACE, "traefik", traefik_values(graph))
        yield edge
