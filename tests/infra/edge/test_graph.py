"""Edge, login and teams in the resource graph: the path of a request, and the effect of mirrors."""

import json
from typing import Any

import pytest

from platform_lib.infra.base.naming import IDENTITY_HEADERS
from platform_lib.infra.team.rbac import deployer_rules
from tests.infra.harness.graph import Graph, Resource
from tests.infra.stacks import CA, KEY, MIRRORED, run_stack


@pytest.fixture(scope="module")
def local() -> Graph:
    return run_stack("local")


@pytest.fixture(scope="module")
def team() -> Graph:
    return run_stack("team")


def find(graph: Graph, kind: str, name: str, namespace: str) -> Resource:
    [found] = [
        r for r in graph.kubernetes(kind) if r.namespace == namespace and r.inputs["metadata"].get("name") == name
    ]
    return found


def chain(graph: Graph, namespace: str) -> list[str]:
    """Middlewares of a user interface's route."""
    route = find(graph, "IngressRoute", "ui", namespace).inputs["spec"]["routes"][0]
    return [entry["name"].removeprefix("ui-") for entry in route["middlewares"]]


def values(graph: Graph, release: str) -> dict[str, Any]:
    [found] = [r for r in graph.of("kubernetes:helm.sh/v3:Release") if r.inputs["name"] == release]
    made: dict[str, Any] = found.inputs["values"]
    return made


def test_limits_come_before_the_login_and_identity_after_it(local: Graph, team: Graph) -> None:
    assert chain(team, "mlp-mlflow") == ["rate", "body", "login"]
    assert chain(team, "mlp-prefect") == ["rate", "body", "login", "groups", "identity"]
    assert chain(team, "mlp-monitoring") == ["rate", "body", "login", "groups", "identity"]
    assert chain(local, "mlp-mlflow") == ["rate", "body", "login", "identity"]


def test_the_groups_of_a_user_interface_are_required(team: Graph) -> None:
    spec = find(team, "Middleware", "ui-groups", "mlp-monitoring").inputs["spec"]["forwardAuth"]
    assert spec["address"] == (
        "http://oauth2-proxy-groups.mlp-auth/oauth2/auth?allowed_groups=platform-admins,churn-team"
    )
    assert set(IDENTITY_HEADERS) <= set(spec["authResponseHeaders"])


def test_without_an_issuer_no_client_header_sets_the_identity(local: Graph) -> None:
    headers = find(local, "Middleware", "ui-identity", "mlp-monitoring").inputs["spec"]["headers"][
        "customRequestHeaders"
    ]
    assert (
        set(headers) == {*IDENTITY_HEADERS, "Authorization"}
        and headers["X-Auth-Request-User"] == "admin"
        and headers["X-Auth-Request-Email"] == ""
    )


def test_login_secrets_are_encrypted_in_the_state(local: Graph) -> None:
    identity = find(local, "Middleware", "ui-identity", "mlp-prefect")
    assert any(path.startswith("spec.headers.customRequestHeaders") for path in identity.secret_inputs)


@pytest.mark.parametrize("name", ["local", "team"])
def test_no_configuration_of_traefik_holds_the_password_that_mlflow_trusts(
    name: str, local: Graph, team: Graph
) -> None:
    graph = {"local": local, "team": team}[name]
    holders = {
        made.namespace
        for made in graph.kubernetes("Middleware")
        if "Authorization" in (made.inputs["spec"].get("headers") or {}).get("customRequestHeaders", {})
    }
    assert {space for space in holders if not space.startswith("mlp-prefect")} == {"mlp-monitoring"}  # Grafana's own


def test_mlflow_gets_the_logins_own_authorization(local: Graph, team: Graph) -> None:
    forward = find(team, "Middleware", "ui-login", "mlp-mlflow").inputs["spec"]["forwardAuth"]
    assert "Authorization" in forward["authResponseHeaders"]
    others = find(team, "Middleware", "ui-login", "mlp-monitoring").inputs["spec"]["forwardAuth"]
    assert "Authorization" not in others["authResponseHeaders"]
    assert find(local, "Middleware", "ui-login", "mlp-mlflow").inputs["spec"]["basicAuth"]["removeHeader"] is False
    assert find(local, "Middleware", "ui-login", "mlp-monitoring").inputs["spec"]["basicAuth"]["removeHeader"] is True


def test_metrics_have_no_route(local: Graph) -> None:
    for route in local.kubernetes("IngressRoute"):
        for rule in route.inputs["spec"]["routes"]:
            assert "!PathPrefix(`/metrics`)" in rule["match"] and "!PathPrefix(`/api/metrics`)" in rule["match"]


def test_traefik_serves_https_only_with_security_headers_on_every_response(local: Graph) -> None:
    made = values(local, "traefik")
    assert made["ports"]["web"]["http"]["redirections"]["entryPoint"] == {
        "to": "websecure",
        "scheme": "https",
        "permanent": True,
    }
    assert made["ports"]["websecure"]["http"]["middlewares"] == ["mlp-ingress_security-headers@kubernetescrd"]
    assert set(made["ports"]["websecure"]["http"]["encodedCharacters"].values()) == {False}
    providers = made["providers"]["kubernetesCRD"]
    assert (
        providers["allowEmptyServices"],
        providers["allowCrossNamespace"],
        providers["allowExternalNameServices"],
    ) == (True, False, False)
    options = find(local, "TLSOption", "default", "mlp-ingress").inputs["spec"]
    assert options["minVersion"] == "VersionTLS12" and options["sniStrict"] is True
    headers = find(local, "Middleware", "security-headers", "mlp-ingress").inputs["spec"]["headers"]
    assert headers["stsSeconds"] == 31_536_000 and headers["forceSTSHeader"] is True


def test_traefik_has_no_api_and_connects_only_to_what_it_routes_to(local: Graph) -> None:
    made = values(local, "traefik")
    assert made["api"] == {"dashboard": False}
    assert made["providers"]["kubernetesCRD"]["crossProviderNamespaces"] == ["mlp-ingress"]
    egress = find(local, "NetworkPolicy", "traefik", "mlp-ingress").inputs["spec"]["egress"]
    assert [sorted({port["port"] for port in rule["ports"]}) for rule in egress] == [
        [53],
        [5353],
        [4180, 4181],
        [5000],
        [3002],
        [4200],
        [8000],
        [8089],
        [443, 6443, 8443, 16443],
    ]


def certificates(graph: Graph) -> dict[str, list[str]]:
    """Secret → names of its certificate."""
    specs = [found.inputs["spec"] for found in graph.kubernetes("Certificate")]
    return {spec["secretName"]: spec["dnsNames"] for spec in specs if not spec.get("isCA")}


def test_the_platform_and_each_team_have_a_certificate_of_their_own(team: Graph) -> None:
    shared = [f"{name}.ml.example.com" for name in ("mlflow", "prefect", "grafana", "auth", "models")]
    own = {f"edge-certificate-{name}": [f"prefect-{name}.ml.example.com"] for name in ("churn", "fraud")}
    assert certificates(team) == {"edge-certificate": shared, **own}
    shown = {found.inputs["spec"]["tls"][0]["secretName"] for found in team.kubernetes("Ingress")}
    assert shown == set(own)


def test_a_challenge_is_answered_by_http_before_a_host_has_a_certificate(team: Graph) -> None:
    [issuer] = team.kubernetes("ClusterIssuer")
    acme = issuer.inputs["spec"]["acme"]
    assert acme["email"] == "platform@example.com"
    [solver] = acme["solvers"]
    assert solver["http01"]["ingress"] == {
        "ingressClassName": "traefik",
        "serviceType": "ClusterIP",
        "ingressTemplate": {"metadata": {"annotations": {"traefik.ingress.kubernetes.io/router.entrypoints": "web"}}},
    }


def test_dns_gives_one_certificate_for_every_host_and_the_token_stays_in_a_secret() -> None:
    solver = "cloudflare: {apiTokenSecretRef: {name: acme-dns, key: token}}"
    graph = run_stack("team", acme_dns_solver=solver, acme_dns_token="dns-secret", secrets=["acme_dns_token"])
    assert certificates(graph) == {"edge-certificate": ["*.ml.example.com"]} and graph.kubernetes("Ingress") == []
    [issuer] = graph.kubernetes("ClusterIssuer")
    assert [list(item) for item in issuer.inputs["spec"]["acme"]["solvers"]] == [["dns01"]]
    holders = [found.name for found in graph.resources if "dns-secret" in json.dumps(found.inputs, default=str)]
    assert holders == ["edge-tls-dns"]


def test_an_own_certificate_needs_no_issuer() -> None:
    own: dict[str, Any] = {"certificate_issuer": "own", "acme_email": "", "certificate": CA, "certificate_key": KEY}
    graph = run_stack("team", **own, secrets=["certificate_key"])
    assert graph.kubernetes("ClusterIssuer") + graph.kubernetes("Certificate") + graph.kubernetes("Ingress") == []
    secret = find(graph, "Secret", "edge-certificate", "mlp-ingress")
    assert secret.inputs["type"] == "kubernetes.io/tls" and set(secret.inputs["stringData"]) == {"tls.crt", "tls.key"}


def test_a_mirrored_install_refers_to_no_external_host() -> None:
    graph = run_stack("local", **MIRRORED)
    for release in graph.of("kubernetes:helm.sh/v3:Release"):
        assert release.inputs["chart"].startswith("/charts/") and not release.inputs.get("repositoryOpts")
        assert "registry.internal/mirror" in json.dumps(release.inputs["values"]), release.name
    images = [
        container["image"]
        for workload in graph.kubernetes("Deployment")
        for container in workload.inputs["spec"]["template"]["spec"]["containers"]
    ] + [graph.kubernetes("Cluster")[0].inputs["spec"]["imageName"]]
    assert len(images) >= 4 and [image for image in images if not image.startswith("registry.internal/mirror/")] == []


def test_the_proxy_and_its_ca_reach_every_pod_that_connects_outside() -> None:
    graph = run_stack("team", **MIRRORED)
    for release in ("cert-manager", "oauth2-proxy"):
        environment = {entry["name"]: entry.get("value") for entry in values(graph, release)["extraEnv"]}
        assert (
            environment["HTTPS_PROXY"] == "http://proxy.internal:3128"
            and environment["SSL_CERT_DIR"] == "/etc/platform-ca"
        )
    authorities = [r for r in graph.kubernetes("ConfigMap") if r.inputs["metadata"].get("name") == "platform-ca"]
    assert {r.inputs["data"]["ca.crt"] for r in authorities} == {CA}
    egress = find(graph, "NetworkPolicy", "oauth2-proxy", "mlp-auth").inputs["spec"]["egress"]
    assert {entry["port"] for rule in egress for entry in rule["ports"]} == {53, 5353, 443, 3128}


def test_a_team_gets_every_resource_that_it_may_not_create(team: Graph) -> None:
    kinds = sorted(r.inputs["kind"] for r in team.kubernetes() if r.namespace == "team-churn" and "Team$" in r.urn)
    assert kinds == sorted(
        [
            "ConfigMap",
            "LimitRange",
            "Middleware",
            "NetworkPolicy",
            "NetworkPolicy",
            "NetworkPolicy",
            "NetworkPolicy",
            "ResourceQuota",
            "Secret",
            "Secret",
            "Secret",
            "ServiceAccount",
        ]
        + ["Role", "RoleBinding"] * 3
    )
    [space] = [r for r in team.kubernetes("Namespace") if r.inputs["metadata"]["name"] == "team-fraud"]
    assert space.inputs["metadata"]["annotations"] == {
        "mlp.platform/models": "fraud,card-*",
        "mlp.platform/outside-ports": "443",
    }
    assert space.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    bound = find(team, "RoleBinding", "ci", "team-churn").inputs["subjects"]
    assert [subject["name"] for subject in bound] == ["deployer", "ci-churn"]


def test_ci_may_not_create_secrets_roles_or_namespaces() -> None:
    writable = {thing for rule in deployer_rules() if "create" in rule["verbs"] for thing in rule["resources"]}
    assert not writable & {
        "secrets",
        "roles",
        "rolebindings",
        "namespaces",
        "resourcequotas",
        "pods",
        "tlsoptions",
        "certificates",
    }
