"""A team's rights end at its namespace: what its CI may create reaches nothing of the platform and of another team.

As `system:serviceaccount:team-churn:deployer`, on the real API server with the real admission policies and the real
Traefik.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from platform_lib.infra.team.admission import team_rules
from platform_lib.infra.team.allow_list import KindRule
from tests.infra.edge_lab import Edge
from tests.infra.harness.apply import Stack, wait_until
from tests.infra.harness.graph import Graph
from tests.infra.harness.objects import Objects, Refused
from tests.k8slab.lab import Lab
from tests.k8slab.network import Network
from tests.security.team import claims
from tests.security.team.every_field import is_listed, leaves, with_field
from tests.security.team.team_lab import (
    CI,
    MODELS,
    SPACE,
    Caller,
    model_program,
    real_traefik,
    schema_of,
    two_teams,
    why,
)

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("cluster")]

TABLES = {
    "IngressRoute": claims.ROUTES,
    "TraefikService": claims.TRAEFIK_SERVICES,
    "Middleware": claims.MIDDLEWARES,
    "Service": claims.SERVICES,
    "ScaledObject": claims.SCALED_OBJECTS,
    "ServiceMonitor": claims.SERVICE_MONITORS,
    "PrometheusRule": claims.PROMETHEUS_RULES,
    "ConfigMap": claims.DASHBOARDS,
    "NetworkPolicy": claims.NETWORK_POLICIES,
}
CUSTOM = {rule.kind: rule for rule in team_rules(MODELS) if "." in rule.group and rule.kind != "NetworkPolicy"}


@pytest.fixture(scope="module")
def deployed(lab: Lab, chart_mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Graph]]:
    with two_teams(lab, chart_mirror, tmp_path_factory.mktemp("security")) as found:
        yield found


@pytest.fixture(scope="module")
def ci(deployed: tuple[Stack, Graph], lab: Lab) -> Caller:
    """Team churn's CI."""
    return Caller(lab)


@pytest.fixture(scope="module")
def administrator(deployed: tuple[Stack, Graph], lab: Lab) -> Caller:
    """Somebody whom no role stops: what is refused is refused by a policy."""
    return Caller(lab, None)


@pytest.mark.parametrize(
    ("body", "word"),
    [pytest.param(*claim, id=f"{kind}: {name}") for kind, table in TABLES.items() for name, claim in table.items()],
)
def test_an_object_that_reaches_beyond_the_namespace_is_refused(ci: Caller, body: dict[str, Any], word: str) -> None:
    sentence = why(ci.creates(body))
    assert word in sentence
    assert sentence.startswith(f"{body['kind']} claim "), "the sentence names the object"


@pytest.mark.parametrize("name", claims.RESERVED)
def test_what_the_platform_put_into_the_namespace_is_not_the_teams_to_change(
    deployed: tuple[Stack, Graph], ci: Caller, administrator: Caller, name: str
) -> None:
    api_version, kind, _ = claims.RESERVED[name]
    assert "the platform's" in why(ci.deletes(api_version, kind, name))
    assert administrator.deletes(api_version, kind, name).status_code == 200
    with pytest.raises(Refused, match="the platform's"):
        spec: dict[str, Any] = {"spec": {"headers": {"addVaryHeader": True}}} if kind == "Middleware" else {}
        meta = {"name": name, "labels": {"own": "yes"}}
        ci.applies({"apiVersion": api_version, "kind": kind, "metadata": meta, **spec})


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            claims.network(ingress=[{"from": [claims.named("team-fraud")]}]), id="another team lets itself in"
        ),
        pytest.param(claims.network(ingress=[{"from": [{"podSelector": {}}]}]), id="the own pods"),
        pytest.param(claims.network(egress=[{"to": [{"podSelector": {}}]}]), id="to the own pods"),
        pytest.param(claims.leave(claims.named("mlp-prefect-churn"), 4200), id="its Prefect"),
        pytest.param(claims.leave(claims.named("kube-system"), 53), id="names"),
        pytest.param(claims.leave(claims.block("0.0.0.0/0", "169.254.0.0/16"), 443), id="outside"),
        pytest.param(
            claims.leave(claims.block("::/0", "fe80::/10", "fd00:ec2::/32", "fd20:ce::/32"), 443), id="outside by IPv6"
        ),
        pytest.param(claims.leave(claims.block("198.51.100.0/24"), 443), id="a network outside"),
        pytest.param(claims.dashboard(text='{"uid": "mlp-team-churn-x", "d": {"uid": "${datasource}"}}'), id="a board"),
        pytest.param(claims.rules(record="churn:requests:rate5m"), id="a series"),
        pytest.param(claims.service(clusterIP="None"), id="a headless Service"),
    ],
)
def test_what_stays_inside_the_namespace_is_accepted(ci: Caller, body: dict[str, Any]) -> None:
    answer = ci.creates(body)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("kind", claims.GUARDED)
def test_a_kind_that_reaches_beyond_the_namespace_is_refused_whatever_the_role_says(
    ci: Caller, administrator: Caller, kind: str
) -> None:
    body = claims.GUARDED[kind]
    assert ci.creates(body).status_code == 403
    assert "the platform's" in why(administrator.creates(body))


ALLOWED: dict[str, dict[str, Any]] = {
    "IngressRoute": claims.route(),
    "TraefikService": claims.weighted(),
    "Middleware": claims.middleware(stripPrefix={"prefixes": ["/models/churn"]}),
    "ServiceMonitor": claims.monitor(),
    "PrometheusRule": claims.rules(alert="Own"),
    "ScaledObject": claims.scaled(triggers=[{"type": "cpu", "metadata": {"value": "70"}}]),
}


@pytest.mark.parametrize("kind", CUSTOM)
def test_every_field_of_the_definition_that_is_not_on_the_list_is_refused(ci: Caller, kind: str) -> None:
    rule, base = CUSTOM[kind], ALLOWED[kind]
    assert ci.creates(base).status_code == 201
    schema = schema_of(rule.group, kind)["properties"]["spec"]
    unlisted = [path for path, _ in leaves(schema) if not is_listed(rule.fields["spec"], path)]
    assert len(unlisted) > 2
    accepted = []
    for path in unlisted:
        answer = ci.creates({**base, "spec": with_field(base["spec"], schema, path)})
        if answer.status_code == 201 or "mlp-team-" not in answer.text:
            accepted.append((".".join(path), answer.status_code, answer.text[:300]))
    assert accepted == []


@pytest.mark.parametrize("kind", CUSTOM)
def test_nothing_on_the_list_names_a_file_a_secret_a_server_or_a_label(kind: str) -> None:
    rule = CUSTOM[kind]
    schema = schema_of(rule.group, kind)["properties"]["spec"]
    listed = [".".join(path) for path, _ in leaves(schema) if is_listed(rule.fields["spec"], path)]
    dangerous = re.compile(r"(?i)file|token|secret|proxy|auth|password|tls\.|url|redis|relabel|transport|honor")
    assert [path for path in listed if dangerous.search(path.replace("proxyHeaders", ""))] == []
    assert unknown_fields(rule) == []


def unknown_fields(rule: KindRule) -> list[str]:
    """First fields of the allow-list that the definition does not have."""
    properties = schema_of(rule.group, rule.kind)["properties"]["spec"]["properties"]
    spec = rule.fields["spec"]
    assert isinstance(spec, dict)
    return sorted(set(spec) - set(properties))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="public"),
        pytest.param({"exposure": "cluster"}, id="inside the cluster"),
        pytest.param({"requests_per_s_per_replica": 50.0}, id="scaled by the request rate"),
        pytest.param({"request_log": "volume"}, id="with a log on a volume"),
        pytest.param({"oidc_issuer": "https://issuer.example.com", "oidc_audience": "models"}, id="with OIDC"),
    ],
)
def test_everything_that_a_model_endpoint_creates_is_accepted(
    deployed: tuple[Stack, Graph], lab: Lab, tmp_path: Path, changes: dict[str, Any]
) -> None:
    model = Stack(lab, tmp_path, as_user=CI)
    try:
        change = model.up(model_program("churn-two", **changes))
        assert len(change.created) >= 8
        assert model.up(model_program("churn-two", **changes)).names == {}
    finally:
        model.destroy(lift_protection=True)


@pytest.fixture(scope="module")
def edge(
    deployed: tuple[Stack, Graph], lab: Lab, network: Network, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Edge]:
    """The real Traefik in front of team churn's model, a server that shows what reached it."""
    model = Stack(lab, tmp_path_factory.mktemp("model"), as_user=CI)
    with real_traefik(*deployed, network, tmp_path_factory.mktemp("authority")) as edge:
        try:
            model.up(model_program("churn", rate_limit_per_s=1000, rate_limit_burst=1000))
            edge.fake_service("echo", SPACE, "churn")
            wait_until(lambda: seen(edge, "/models/churn/x") is not None, f"no route\n{edge.tails()}")
            yield edge
        finally:
            model.destroy()


def ask(edge: Edge, path: str, **more: Any) -> httpx.Response:
    """A request from outside for the models' host."""
    with edge.https() as client:
        return client.get(f"https://{MODELS}{path}", **more)


def seen(edge: Edge, path: str, **more: Any) -> dict[str, Any] | None:
    """What reached the model's pod; None where nothing did."""
    try:
        answer = ask(edge, path, **more)
    except httpx.HTTPError:  # the certificate is not loaded yet
        return None
    found: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
    return found


@pytest.mark.parametrize("name", ["api@internal", "dashboard@internal", "prometheus@internal", "rest@internal"])
@pytest.mark.parametrize("through", ["route", "TraefikService"])
def test_traefiks_own_services_are_unreachable_even_where_no_policy_refuses_the_route(
    edge: Edge, lab: Lab, name: str, through: str
) -> None:
    space = "mlp-auth"  # no policy is bound there, so that Traefik itself has to refuse
    objects = Objects(lab)
    member = {"name": name, "kind": "TraefikService", "weight": 1}
    witness_path = (
        f"/{through}-{name.partition('@')[0]}"  # another in each test: the last one's answers a moment longer
    )
    bodies = [
        claims.route(rule={"match": f"Host(`{MODELS}`) && PathPrefix(`/api`)", "services": [member], "middlewares": []})
    ]
    if through == "TraefikService":
        bodies = [
            claims.traefik("TraefikService", {"weighted": {"services": [member]}}),
            claims.route(
                rule={
                    "match": f"Host(`{MODELS}`) && PathPrefix(`/api`)",
                    "services": [{"name": "claim", "kind": "TraefikService"}],
                    "middlewares": [],
                }
            ),
        ]
    witness = claims.route(
        rule={
            "match": f"Host(`{MODELS}`) && PathPrefix(`{witness_path}`)",
            "services": [{"name": "oauth2-proxy", "port": 80}],
            "middlewares": [],
        }
    )
    service = claims.service(selector={"app": "none"}, ports=[{"port": 80}])
    made = [
        objects.apply({**body, "metadata": {"name": label, "namespace": space}})
        for body, label in [*((body, "claim") for body in bodies), (service, "oauth2-proxy"), (witness, "witness")]
    ]
    try:
        # A Service without pods answers 503: Traefik has read everything that was made before it.
        wait_until(lambda: ask(edge, witness_path).status_code == 503, "Traefik has not read the routes")
        for path in ("/api/rawdata", "/api/overview", "/api", "/metrics"):
            assert ask(edge, path).status_code == 404, path
    finally:
        for reference in made:
            objects.delete(reference)


def test_no_pod_of_a_team_sees_the_logins_cookie_or_identity_and_none_sets_a_cookie(edge: Edge) -> None:
    sent = {
        "Cookie": "_mlp_login=secret; other=1",
        "X-Auth-Request-User": "root",
        "X-Auth-Request-Groups": "platform-admins",
        "X-Model-Header": "kept",
    }
    answer = ask(edge, "/models/churn/x", headers=sent)
    reached = answer.json()["headers"]
    assert answer.json()["path"] == "/x"
    assert not {"cookie", "x-auth-request-user", "x-auth-request-groups"} & set(reached)
    assert reached["x-model-header"] == "kept"
    assert not {"set-cookie", "service-worker-allowed", "clear-site-data"} & set(answer.headers)
    assert answer.headers["x-echo"] == "1"


def test_traefiks_configuration_has_no_way_out_at_any_of_its_ports(edge: Edge, network: Network) -> None:
    [(address, _)] = edge.endpoints("mlp-ingress", "traefik")
    for port in (8080, 9100, 8000):
        with network.client(address, port, tls=None) as client:
            answer = client.get(f"http://{address}/api/rawdata")
            assert answer.status_code in (301, 404), (port, answer.text[:200])


def test_two_teams_with_names_that_begin_alike_have_middlewares_of_their_own(edge: Edge, lab: Lab) -> None:
    """`b-c` in `x-a` and `c` in `x-a-b` would be one object to a Traefik that joins names with a dash."""
    objects = Objects(lab)
    spaces = {"x-a": "b-c", "x-a-b": "c"}
    made = []
    try:
        for space, name in spaces.items():
            made.append(objects.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}))
            limit = claims.middleware(redirectRegex={"regex": ".*", "replacement": f"https://{space}.example/"})
            match = f"Host(`{MODELS}`) && PathPrefix(`/{space}/`)"
            rule = {"match": match, "middlewares": [{"name": name}], "services": [{"name": "none", "port": 80}]}
            service = claims.service(selector={"app": "none"}, ports=[{"port": 80}])
            for body, label in ((limit, name), (service, "none"), (claims.route(rule=rule), name)):
                objects.apply({**body, "metadata": {"name": label, "namespace": space}})
        for space in spaces:
            wait_until(
                lambda space=space: ask(edge, f"/{space}/").headers.get("location") == f"https://{space}.example/",  # type: ignore[misc]
                f"{space} has another's middleware",
            )
    finally:
        for reference in made:
            objects.delete(reference)
