"""The edge of the team example: requests from outside to a real Traefik on a real API server."""

import base64
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import copier
import pytest

from platform_lib.names import OUTPUTS_CONFIG_MAP
from platform_lib.settings import Project
from tests.infra.certificates import Authority
from tests.infra.edge_client import (
    DOMAIN,
    MODEL,
    SESSION,
    STRANGER,
    TEAM,
    EdgeClient,
    handshake,
    is_up,
    raw_request,
    sample_row,
    serve,
)
from tests.infra.edge_lab import Edge
from tests.infra.harness.apply import Stack, wait_until
from tests.infra.harness.objects import Objects, Reference, Refused
from tests.infra.programs import model_graph
from tests.infra.stacks import run_stack
from tests.k8slab.lab import Lab
from tests.k8slab.network import Network

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("cluster")]

DIGEST = f"registry.invalid/{MODEL}@sha256:" + "0" * 64
UIS = ("mlflow", "prefect", "grafana")


@pytest.fixture(scope="module")
def platform(lab: Lab, chart_mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(lab, tmp_path_factory.mktemp("team"))
    models = ["fraud=fraud", "fraud=card-*", "fraud=sample-*"]
    try:
        stack.up(run_stack("team", chart_mirror=str(chart_mirror), team_models=models))
        yield stack
    finally:
        stack.destroy(lift_protection=True)


@pytest.fixture(scope="module")
def key_and_folder(template_source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    from platform_lib.serving.auth.api_keys import new_key

    folder = tmp_path_factory.mktemp("edge-model") / "project"
    answers = {"project_name": MODEL, "deploy_target": "kubernetes", "repository_owner": "fraud"}
    copier.run_copy(str(template_source), folder, data=answers, defaults=True, quiet=True)
    return new_key(folder / "deploy" / "keys.yaml", "shop", ["predict"]), folder / "deploy"


@pytest.fixture(scope="module")
def edge_client(
    platform: Stack,
    network: Network,
    trained: Project,
    key_and_folder: tuple[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[EdgeClient]:
    from infra_stack.edge import SERVICES

    key, folder = key_and_folder
    published = platform.objects.get(Reference("v1", "ConfigMap", TEAM, OUTPUTS_CONFIG_MAP))
    assert published
    model = Stack(
        platform.objects.lab, tmp_path_factory.mktemp("model"), as_user=f"system:serviceaccount:{TEAM}:deployer"
    )
    graph = model_graph(
        folder, "production", published["data"], image=DIGEST, min_replicas=1, rate_limit_per_s=20, rate_limit_burst=20
    )
    graph.one("kubernetes:apps/v1:Deployment").inputs["spec"]["minReadySeconds"] = 0
    model.up(graph)
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.issue_all(platform.objects)
    with Edge(network, authority.context()) as edge:
        values = next(
            release.inputs["values"]
            for release in (item.resource for item in platform.state.values())
            if release.inputs.get("chart", "").find("traefik") >= 0
        )
        edge.traefik("mlp-ingress", "traefik", values)
        for service in ("oauth2-proxy", "oauth2-proxy-groups"):
            edge.fake_service("login", "mlp-auth", service)
        uis = tuple(name for name, (namespace, service, _) in SERVICES.items() if edge.endpoints(namespace, service))
        for name in uis:
            edge.fake_service("echo", *SERVICES[name][:2])
        serve(edge, graph.one("kubernetes:apps/v1:Deployment").inputs, trained, folder / "keys.yaml")
        found = EdgeClient(edge, key, uis)
        wait_until(lambda: is_up(found), f"the model does not answer\n{edge.tails()}", timeout_s=120)
        yield found
    model.destroy()


def test_plain_http_is_sent_to_https_whatever_is_asked(edge_client: EdgeClient) -> None:
    with edge_client.edge.http() as client:
        for host in (*edge_client.uis, "models", "auth"):
            answer = client.get(f"http://{host}.{DOMAIN}/some/path?a=1")
            assert (answer.status_code, answer.headers["location"]) == (301, f"https://{host}.{DOMAIN}/some/path?a=1")


def test_tls_is_modern_and_a_host_that_is_not_ours_gets_no_handshake(edge_client: EdgeClient) -> None:
    host = f"mlflow.{DOMAIN}"
    assert handshake(edge_client.edge.network, host).startswith("TLS_")
    good = "ECDHE-ECDSA-AES128-GCM-SHA256"
    assert handshake(edge_client.edge.network, host, version=ssl.TLSVersion.TLSv1_2, cipher=good) == good
    for version, cipher in ((ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA"), (ssl.TLSVersion.TLSv1_1, "ALL")):
        with pytest.raises(ssl.SSLError, match="alert"):
            handshake(edge_client.edge.network, host, version=version, cipher=cipher)
    for stranger in ("mlflow.evil.example", DOMAIN, "10.0.0.2"):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(edge_client.edge.network, stranger)


def test_every_answer_carries_the_security_headers_and_names_no_software(edge_client: EdgeClient) -> None:
    for answer in (edge_client.get("mlflow"), edge_client.get("mlflow", headers=SESSION), edge_client.predict()):
        assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not {"server", "x-powered-by"} & set(answer.headers)


def test_the_real_model_server_answers_with_a_key_and_only_at_its_own_path(
    edge_client: EdgeClient, trained: Project
) -> None:
    row = sample_row(trained)
    with edge_client.edge.https() as client:
        answer = client.post(
            f"https://models.{DOMAIN}/models/{MODEL}/predict",
            json={"rows": [row]},
            headers={"Authorization": f"Bearer {edge_client.key}"},
        )
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"]["name"] == MODEL and len(answer.json()["predictions"]) == 1
    assert edge_client.predict(key="").status_code == 401
    assert edge_client.predict(key="wrong").status_code == 401
    for path in (
        "/predict",
        "/models/predict",
        f"/models/{MODEL}",
        f"/models/{MODEL}-two/predict",
        "/models/other/predict",
        "/",
    ):
        assert edge_client.predict(path).status_code == 404, path


def test_metrics_have_no_way_in(edge_client: EdgeClient) -> None:
    for ui in edge_client.uis:
        for path in (
            "/metrics",
            "/metrics/",
            "//metrics",
            "/./metrics",
            "/x/../metrics",
            "/%6detrics",
            "/api/metrics",
            "/%2e/metrics",
            "/x/%2e%2e/metrics",
        ):
            with edge_client.edge.https() as client:
                answer = client.send(raw_request(ui, path))
            assert answer.status_code in (400, 404), (ui, path, answer.status_code, answer.text)
    for path in (f"/models/{MODEL}/metrics", "/metrics", f"/models/{MODEL}/..%2fmetrics"):
        assert edge_client.get("models", path, headers={"Authorization": f"Bearer {edge_client.key}"}).status_code in (
            400,
            404,
        ), path


def test_encoded_and_climbing_paths_reach_nothing_but_what_they_say(edge_client: EdgeClient) -> None:
    bodies = []
    for path in (
        f"/models%2F{MODEL}/predict",
        f"/models/{MODEL}%2fpredict",
        f"/models/other/%2e%2e/{MODEL}%2Fpredict",
        f"/models/{MODEL}/..%2f..%2fadmin",
        f"/models/{MODEL}/%00predict",
        f"/models/{MODEL}/..;/admin",
        f"/models/{MODEL}/%5c..%5cadmin",
        "/models/..%252fadmin",
    ):
        with edge_client.edge.https() as client:
            bodies.append((path, client.send(raw_request("models", path)).status_code))
    assert [(path, status) for path, status in bodies if status not in (400, 401, 404)] == []


@pytest.mark.parametrize("ui", UIS)
def test_a_user_interface_redirects_to_the_login_and_opens_after_it(edge_client: EdgeClient, ui: str) -> None:
    if ui not in edge_client.uis:
        pytest.skip(f"{ui} has no pods in this stack")
    refused = edge_client.get(ui, "/deep/link?run=1")
    assert refused.status_code == 302
    assert (
        refused.headers["location"] == f"https://issuer.invalid/authorize?state=https://{ui}.{DOMAIN}/deep/link?run=1"
    )
    opened = edge_client.get(ui, "/deep/link?run=1", headers=SESSION)
    assert (opened.status_code, opened.json()["path"]) == (200, "/deep/link?run=1")
    assert opened.json()["headers"]["x-auth-request-email"] == "ada@example.com"


def test_only_the_groups_of_a_user_interface_open_it(edge_client: EdgeClient) -> None:
    assert edge_client.get("grafana", headers=STRANGER).status_code == 403
    assert edge_client.get("grafana", headers=SESSION).status_code == 200


def test_identity_from_outside_is_dropped_however_it_is_spelt(edge_client: EdgeClient) -> None:
    claims = {
        "X-Auth-Request-User": "root",
        "X-Auth-Request-Groups": "platform-admins",
        "X-Auth-Request-Preferred-Username": "root",
        "X_Auth_Request_Groups": "platform-admins",
        "X_Auth_Request_User": "root",
        "Authorization": "Basic ZWRnZTpndWVzcw==",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-For": "10.0.0.1",
        "X-Real-Ip": "10.9.9.9",
    }
    seen = edge_client.get("mlflow", headers={**SESSION, **claims}).json()["headers"]
    assert seen["x-auth-request-user"] == "ada@example.com"
    assert seen["x-auth-request-groups"] == "churn-team,platform-admins"
    assert "root" not in seen.values() and "x-auth-request-preferred-username" not in seen
    assert not [name for name in seen if "_" in name], "a server that reads - and _ alike would believe them"
    assert base64.b64decode(seen["authorization"].removeprefix("Basic ")) == b"ada@example.com:edge-password"
    assert seen["x-forwarded-host"] == f"mlflow.{DOMAIN}"
    assert edge_client.get("mlflow", headers=claims).headers["location"].endswith(f"https://mlflow.{DOMAIN}/")


def test_the_password_that_mlflow_trusts_reaches_mlflow_alone_and_no_browser(edge_client: EdgeClient) -> None:
    for ui in edge_client.uis:
        reached = edge_client.get(ui, headers=SESSION).json()["headers"]
        assert ("edge-password" in decoded(reached.get("authorization", ""))) == (ui == "mlflow"), ui
    login = edge_client.get("auth", "/oauth2/auth", headers=SESSION)
    assert login.status_code == 202 and "authorization" not in login.headers


def decoded(basic: str) -> str:
    """User and password of an Authorization header."""
    return base64.b64decode(basic.removeprefix("Basic ")).decode()


def test_the_rate_limit_of_a_model_holds(edge_client: EdgeClient) -> None:
    with ThreadPoolExecutor(8) as callers:
        statuses = list(callers.map(lambda _: edge_client.predict().status_code, range(120)))
    assert 429 in statuses
    assert set(statuses) <= {200, 422, 429}
    wait_until(lambda: edge_client.predict().status_code != 429, "the limit does not end")


def test_bodies_that_are_too_large_are_refused(edge_client: EdgeClient) -> None:
    with edge_client.edge.https() as client:
        answer = client.post(f"https://mlflow.{DOMAIN}/api", content=b"x" * (33 << 20), headers=SESSION)
        assert answer.status_code == 413
        key = {"Authorization": f"Bearer {edge_client.key}", "Content-Type": "application/json"}
        wait_until(
            lambda: (
                client.post(
                    f"https://models.{DOMAIN}/models/{MODEL}/predict", content=b" " * (17 << 20), headers=key
                ).status_code
                == 413
            ),
            "a body of 17 MiB is not refused",
        )


def test_a_team_may_route_its_own_models_and_nothing_in_anothers_namespace(platform: Stack) -> None:
    ci = Objects(platform.objects.lab, as_user="system:serviceaccount:team-churn:deployer")
    rule = {
        "kind": "Rule",
        "match": f"Host(`models.{DOMAIN}`) && PathPrefix(`/models/churn/`)",
        "middlewares": [{"name": "edge"}],
        "services": [{"name": "churn", "port": 8000}],
    }
    route = {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": "claim", "namespace": "team-churn"},
        "spec": {"entryPoints": ["websecure"], "tls": {}, "routes": [rule]},
    }
    ci.delete(ci.apply(route))
    with pytest.raises(Refused, match="403"):
        ci.apply({**route, "metadata": {"name": "claim", "namespace": TEAM}})
