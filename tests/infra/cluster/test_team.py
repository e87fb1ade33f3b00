"""The example stack `team` on a real API server, with and without access to the internet."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from platform_lib.infra.base.naming import PLATFORM_NAMESPACES
from platform_lib.infra.base.versions import CHARTS
from tests.infra.harness.apply import RELEASE, ApplyError, Stack
from tests.infra.harness.graph import Graph
from tests.infra.harness.objects import Reference, Refused
from tests.infra.harness.wire import strings
from tests.infra.stacks import MIRRORED, SECRETS, example, run_stack
from tests.k8slab.lab import Lab

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("cluster")]

DEFINITION = "CustomResourceDefinition"  # Helm leaves them behind on purpose
INTERNAL_AUTHORITY = "https://acme.internal/directory"
EVERYWHERE = "0.0.0.0/0"


def things(stack: Stack) -> set[Reference]:
    return {reference for reference in stack.objects.snapshot() if reference.kind != DEFINITION}


@pytest.fixture(scope="module")
def before(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> set[Reference]:
    return things(Stack(lab, tmp_path_factory.mktemp("before")))


@pytest.fixture(scope="module")
def team(chart_mirror: Path) -> Callable[..., Graph]:
    return lambda **changes: run_stack("team", **{"chart_mirror": str(chart_mirror), **changes})


@pytest.fixture(scope="module")
def platform(
    lab: Lab, before: set[Reference], team: Callable[..., Graph], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    stack = Stack(lab, tmp_path_factory.mktemp("team"))
    try:
        stack.up(team())
        yield stack
    finally:
        stack.destroy(lift_protection=True)


def kind_of(urn: str) -> str:
    return urn.rpartition("::")[0].rpartition(":")[2]


def pod_templates(stack: Stack) -> dict[Reference, dict[str, Any]]:
    """Of every workload in the cluster, charts' and ours, as the API server holds it."""
    found = {}
    for kind, api_version in (
        ("Deployment", "apps/v1"),
        ("StatefulSet", "apps/v1"),
        ("DaemonSet", "apps/v1"),
        ("Job", "batch/v1"),
    ):
        for item in stack.objects.lab.request("GET", f"/apis/{api_version}/{kind.lower()}s")["items"]:
            meta = item["metadata"]
            found[Reference(api_version, kind, meta["namespace"], meta["name"])] = item["spec"]["template"]
    return found


def selected(policy: Mapping[str, Any], template: Mapping[str, Any]) -> bool:
    """Whether a NetworkPolicy selects these pods. Selectors with expressions are for training runs, absent here."""
    wanted = policy["spec"]["podSelector"]
    return (
        not wanted.get("matchExpressions")
        and (wanted.get("matchLabels") or {}).items() <= template["metadata"]["labels"].items()
    )


def outside_ports(stack: Stack, at: Reference, template: Mapping[str, Any]) -> set[int]:
    """Ports at which the NetworkPolicies let these pods reach any address."""
    policies = stack.objects.select("networking.k8s.io/v1", "NetworkPolicy", at.namespace)
    rules = [rule for policy in policies if selected(policy, template) for rule in policy["spec"].get("egress") or []]
    anywhere = [
        rule
        for rule in rules
        if any((peer.get("ipBlock") or {}).get("cidr") == EVERYWHERE for peer in rule.get("to") or [])
    ]
    return {port["port"] for rule in anywhere for port in rule["ports"]}


def test_everything_is_accepted_and_rolls_out_and_a_second_up_changes_nothing(
    platform: Stack, team: Callable[..., Graph]
) -> None:
    deployed = platform.objects.snapshot()
    assert platform.up(team()).names == {}
    assert platform.objects.snapshot() == deployed
    installed = platform.releases.listed()
    assert {name: f"{name}-{CHARTS[name].version}" for name in CHARTS if name != "cloudnative-pg"} == installed


def test_what_is_elsewhere_is_not_made_here_and_its_secrets_lie_in_secrets_alone(platform: Stack) -> None:
    kinds = {item.reference.kind for item in platform.state.values() if item.reference}
    assert not kinds & {"Cluster", "PersistentVolumeClaim"}
    plain = json.dumps(
        [
            item.inputs
            for item in platform.state.values()
            if item.reference is None or item.reference.kind not in ("Secret", "Middleware")
        ]
    )
    secrets = [value for value in SECRETS["team"].values() if isinstance(value, str)]
    secrets += [entry.partition("=")[2] for entry in SECRETS["team"]["team_prefect_database_urls"]]
    assert [secret for secret in secrets if secret in plain] == []
    live = [item for item in platform.state.values() if item.reference and item.reference.kind == "Secret"]
    kept = json.dumps([item.inputs.get("stringData") for item in live])
    assert [secret for secret in secrets if json.dumps(secret)[1:-1] not in kept] == []
    [issuer] = [
        item.reference for item in platform.state.values() if item.reference and item.reference.kind == "ClusterIssuer"
    ]
    live_issuer = platform.objects.get(issuer)
    assert live_issuer and live_issuer["spec"]["acme"]["email"] == example("team")["acme_email"]


def test_no_namespace_of_the_platform_takes_a_pod_that_sees_its_node(platform: Stack) -> None:
    for namespace in PLATFORM_NAMESPACES:
        exporter = {
            "hostNetwork": True,
            "hostPID": True,
            "containers": [{"name": "node-exporter", "image": "stub.invalid/node-exporter:1"}],
        }
        with pytest.raises(Refused, match=r"violates PodSecurity .restricted"):
            platform.objects.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": "exporter", "namespace": namespace},
                    "spec": exporter,
                }
            )


def test_a_changed_setting_touches_what_it_should_and_nothing_else(platform: Stack, team: Callable[..., Graph]) -> None:
    groups = [*example("team")["ui_groups"], "grafana=platform-operators"]
    changed = platform.up(team(ui_groups=groups))
    assert (changed.created, changed.deleted, {kind_of(urn) for urn in changed.updated}) == ([], [], {"Middleware"})
    rotated = platform.up(team(ui_groups=groups, s3_secret_access_key="rotated"))
    assert (rotated.created, rotated.deleted, [kind_of(urn) for urn in rotated.updated]) == ([], [], ["Secret"])
    platform.up(team())


def test_an_installation_without_the_internet_takes_everything_from_its_mirrors(
    platform: Stack, team: Callable[..., Graph], chart_mirror: Path
) -> None:
    settings = {
        "domain": example("team")["domain"],
        **MIRRORED,
        "chart_mirror": str(chart_mirror),
        "acme_server": INTERNAL_AUTHORITY,
    }
    platform.up(team(**settings))

    releases = [item.inputs for item in platform.state.values() if item.resource.type == RELEASE]
    assert len(releases) == len(CHARTS) - 1
    assert [
        r["name"] for r in releases if not r["chart"].startswith(f"{chart_mirror}/") or r.get("repositoryOpts")
    ] == []

    templates = pod_templates(platform)
    containers = {
        (at, container["name"]): container
        for at, made in templates.items()
        for part in ("containers", "initContainers")
        for container in made["spec"].get(part, [])
    }
    assert len(templates) >= 14
    assert [
        at
        for at, container in containers.items()
        if not container["image"].startswith(f"{MIRRORED['image_registry']}/")
    ] == []

    leaving = {
        at: ports
        for at, made in templates.items()
        if (ports := outside_ports(platform, at, made))
        and not made["spec"].get("automountServiceAccountToken")
        and at.name != "traefik"  # it connects to the API server, which no NetworkPolicy can name
    }
    cert_manager = Reference(
        "apps/v1", "Deployment", "mlp-ingress", "cert-manager"
    )  # its namespace is open: operators talk to the API server
    for at in (*(at for at, ports in leaving.items() if 443 in ports), cert_manager):
        for container in templates[at]["spec"]["containers"]:
            environment = {entry["name"]: entry.get("value") for entry in container["env"]}
            assert (environment["HTTPS_PROXY"], environment["https_proxy"]) == (MIRRORED["http_proxy"],) * 2, at
            assert environment["NO_PROXY"].endswith(MIRRORED["no_proxy"]) and ".svc" in environment["NO_PROXY"], at
            [volume] = [
                v for v in templates[at]["spec"]["volumes"] if (v.get("configMap") or {}).get("name") == "platform-ca"
            ]
            [mount] = [m for m in container["volumeMounts"] if m["name"] == volume["name"]]
            assert any((value or "").startswith(mount["mountPath"]) for value in environment.values()), at
        bundle = platform.objects.get(Reference("v1", "ConfigMap", at.namespace, "platform-ca"))
        assert bundle and bundle["data"] == {"ca.crt": MIRRORED["ca_bundle"]}
        assert at == cert_manager or 3128 in leaving[at], f"{at} may not reach the proxy"
    assert {at.name for at in leaving} >= {"mlflow", "oauth2-proxy"}

    given = json.dumps({**example("team"), **SECRETS["team"], **settings}, default=list)
    named = {
        (host, item.resource.name)
        for item in platform.state.values()
        for text in strings(item.inputs)
        for host in re.findall(r"\b[a-z][a-z0-9+]*://(?:[^/\s@]*@)?([A-Za-z0-9.-]+)", text)
    }
    namespaces = {
        item.reference.name for item in platform.state.values() if item.reference and item.reference.kind == "Namespace"
    }

    def is_inside(host: str) -> bool:
        _, _, rest = host.partition(".")
        return (
            host in ("127.0.0.1", "0.0.0.0")
            or not rest
            or rest.removesuffix(".cluster.local").removesuffix(".svc") in namespaces
        )

    assert {
        (host, name)
        for host, name in named
        if not is_inside(host) and host not in given and not host.endswith(settings["domain"])
    } == set()


def test_destroy_is_refused_while_data_is_protected_then_goes_in_order_and_leaves_nothing(
    platform: Stack, before: set[Reference]
) -> None:
    with pytest.raises(ApplyError, match="protected"):
        platform.destroy()
    charts = {
        Path(item.inputs["chart"]).name.partition("-")[0]: urn
        for urn, item in platform.state.items()
        if item.resource.type == RELEASE
    }
    kinds = {urn: item.reference for urn, item in platform.state.items() if item.reference}
    removed = platform.destroy(lift_protection=True)

    for group, chart in (("traefik.io", "traefik"), ("cert-manager.io", "cert"), ("monitoring.coreos.com", "kube")):
        custom = [removed.index(urn) for urn, reference in kinds.items() if reference.api_version.startswith(group)]
        assert custom and max(custom) < removed.index(charts[chart]), f"{group} needs {chart} to be deleted"
    spaces = [
        removed.index(urn)
        for urn, reference in kinds.items()
        if reference.kind == "Namespace" and reference.name in PLATFORM_NAMESPACES
    ]
    assert max(removed.index(urn) for urn in charts.values()) < max(spaces)
    assert things(platform) - before == set()
