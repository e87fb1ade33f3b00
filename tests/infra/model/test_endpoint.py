"""The resource graph of a model endpoint, without a cluster."""

import json
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from platform_lib.infra.base.setting_rules import SettingError
from platform_lib.infra.model.endpoint import ModelEndpoint
from platform_lib.infra.model.endpoint_args import ModelEndpointArgs
from platform_lib.names import SharedOutputs
from tests.infra.harness.graph import Graph, run_program
from tests.infra.model.endpoints import ARGS, IMAGE, KEYS, graph, program
from tests.infra.monitoring.alert_rules import MODEL
from tests.infra.shared import SHARED

KINDS = [
    "ConfigMap",
    "ConfigMap",
    "Deployment",
    "HorizontalPodAutoscaler",
    "IngressRoute",
    "Middleware",
    "Middleware",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PrometheusRule",
    "Service",
    "ServiceAccount",
    "ServiceMonitor",
]


def pod(made: Graph) -> dict[str, Any]:
    spec: dict[str, Any] = made.kubernetes("Deployment")[0].inputs["spec"]["template"]["spec"]
    return spec


def environment(made: Graph) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in pod(made)["containers"][0]["env"]}


@pytest.fixture(scope="module")
def made() -> Graph:
    return graph()


def test_an_endpoint_has_exactly_these_parts(made: Graph) -> None:
    assert sorted(resource.inputs["kind"] for resource in made.kubernetes()) == KINDS
    assert {resource.inputs["metadata"]["namespace"] for resource in made.kubernetes()} == {"team-red"}
    assert {resource.provider for resource in made.kubernetes()} == {"cluster"}


def test_every_part_is_a_child_named_after_the_endpoint(made: Graph) -> None:
    component = made.one("platform-lib:index:ModelEndpoint")
    assert {resource.parent for resource in made.kubernetes()} == {component.urn}
    assert [resource.name for resource in made.kubernetes() if resource.name.split("-")[0] != "churn"] == []


def test_a_preview_shows_the_same_parts(made: Graph) -> None:
    preview = run_program(program(), preview=True)
    assert sorted(resource.urn for resource in preview.resources) == sorted(resource.urn for resource in made.resources)


def test_the_outputs_give_the_models_urls_and_image(made: Graph) -> None:
    outputs = made.one("platform-lib:index:ModelEndpoint").outputs
    assert outputs == {
        "url": "https://models.ml.example.com/models/churn",
        "service_url": "http://churn.team-red:8000",
        "image": IMAGE,
    }
    declared = {name for name in ModelEndpoint.__annotations__ if not name.startswith("_")}
    assert declared == outputs.keys()


def test_an_endpoint_is_cluster_internal_unless_exposure_is_public() -> None:
    inside = graph(
        exposure=ModelEndpointArgs(**{name: value for name, value in ARGS.items() if name != "exposure"}).exposure
    )
    assert inside.kubernetes("IngressRoute") == inside.kubernetes("Middleware") == []
    assert inside.one("platform-lib:index:ModelEndpoint").outputs["url"] == ""
    asking = inside.kubernetes("NetworkPolicy")[0].inputs["spec"]["ingress"][0]["from"]
    assert asking == [{"podSelector": {}}]


def test_the_pod_has_only_the_rights_it_needs(made: Graph) -> None:
    spec = pod(made)
    assert spec["automountServiceAccountToken"] is False
    assert made.kubernetes("ServiceAccount")[0].inputs["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    container = spec["containers"][0]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"].keys() == {"cpu", "memory", "ephemeral-storage"}
    assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]


def test_the_image_is_referenced_by_digest(made: Graph) -> None:
    assert pod(made)["containers"][0]["image"] == IMAGE


def test_the_pod_runs_mlp_serve(made: Graph) -> None:
    command = pod(made)["containers"][0]["command"]
    assert command[:3] == ["mlp", "serve", "models:/churn@champion"]
    assert command[3:] == ["--host", "0.0.0.0", "--port", "8000", "--metrics-port", "9000", "--workers", "1"]
    assert pod(graph(version="7"))["containers"][0]["command"][2] == "models:/churn/7"


def test_credentials_are_references_to_secrets(made: Graph) -> None:
    seen = environment(made)
    assert seen["MLFLOW_TRACKING_URI"] == "http://mlflow.mlp-mlflow:5000"
    assert seen["MLFLOW_TRACKING_USERNAME"] == {"secretKeyRef": {"name": "mlflow-credentials", "key": "username"}}
    assert seen["MLFLOW_TRACKING_PASSWORD"] == {"secretKeyRef": {"name": "mlflow-credentials", "key": "password"}}
    assert made.secret_outputs == set()


def test_keys_are_mounted_as_a_file_and_a_new_file_restarts_the_pods(made: Graph) -> None:
    keys = next(resource for resource in made.kubernetes("ConfigMap") if resource.name == "churn-keys")
    assert keys.inputs["data"] == {"keys.yaml": KEYS}
    assert (
        "name" not in keys.inputs["metadata"]
    )  # so a new content is a new object, and the pod template changes with it
    assert environment(made)["MLP_KEYS"] == "/etc/mlp/keys/keys.yaml"
    assert {"name": "keys", "mountPath": "/etc/mlp/keys", "readOnly": True} in pod(made)["containers"][0][
        "volumeMounts"
    ]


def test_the_trusted_signers_are_mounted_beside_the_keys() -> None:
    assert "MLP_SIGNERS" not in environment(graph())
    signed = graph(signers="-----BEGIN PUBLIC KEY-----", signatures="require")
    keys = next(resource for resource in signed.kubernetes("ConfigMap") if resource.name == "churn-keys")
    assert keys.inputs["data"] == {"keys.yaml": KEYS, "signing.pub": "-----BEGIN PUBLIC KEY-----"}
    assert environment(signed)["MLP_SIGNERS"] == "/etc/mlp/keys/signing.pub"
    assert environment(signed)["MLP_SIGNATURES"] == "require"


def test_the_pod_shuts_down_without_losing_requests(made: Graph) -> None:
    deployment = made.kubernetes("Deployment")[0].inputs["spec"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert pod(made)["containers"][0]["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
    assert (
        pod(made)["terminationGracePeriodSeconds"] > 5 + 10
    )  # the pause, and uvicorn's own time for requests in flight


def test_liveness_checks_the_process_and_readiness_the_loaded_model(made: Graph) -> None:
    container = pod(made)["containers"][0]
    asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert asked == {
        "startup": {"path": "/healthz", "port": "http"},
        "liveness": {"path": "/healthz", "port": "http"},
        "readiness": {"path": "/readyz/pod", "port": "http"},
    }


def test_only_the_autoscaler_sets_the_replicas(made: Graph) -> None:
    assert "replicas" not in made.kubernetes("Deployment")[0].inputs["spec"]
    scaler = made.kubernetes("HorizontalPodAutoscaler")[0].inputs["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 6)
    assert scaler["metrics"][0]["resource"] == {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 70},
    }


def test_with_keda_the_request_rate_also_scales() -> None:
    scaled = graph(requests_per_s_per_replica=50.0)
    assert scaled.kubernetes("HorizontalPodAutoscaler") == []
    spec = scaled.kubernetes("ScaledObject")[0].inputs["spec"]
    assert spec["advanced"]["horizontalPodAutoscalerConfig"]["name"] == "churn"  # like the alert and the dashboard
    assert [trigger["type"] for trigger in spec["triggers"]] == ["cpu", "prometheus"]
    assert spec["triggers"][1]["metadata"] == {
        "serverAddress": "http://kube-prometheus-stack-prometheus.mlp-monitoring:9090",
        "query": 'sum(rate(mlp_requests_total{namespace="team-red",service="churn"}[1m]))',
        "threshold": "50",
    }


def test_replicas_are_spread_and_a_drain_evicts_one_at_a_time(made: Graph) -> None:
    assert [entry["topologyKey"] for entry in pod(made)["topologySpreadConstraints"]] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    assert made.kubernetes("PodDisruptionBudget")[0].inputs["spec"]["maxUnavailable"] == 1


def test_only_traefik_its_namespace_and_prometheus_may_connect(made: Graph) -> None:
    policy = made.kubernetes("NetworkPolicy")[0].inputs["spec"]
    answers, metrics = policy["ingress"]
    assert answers["ports"] == [{"protocol": "TCP", "port": 8000}]
    assert answers["from"] == [
        {"podSelector": {}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "mlp-ingress"}}},
    ]
    assert metrics["ports"] == [{"protocol": "TCP", "port": 9000}]
    assert metrics["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "mlp-monitoring"}}}
    ]


def reached(made: Graph) -> list[tuple[str, list[int]]]:
    rules = made.kubernetes("NetworkPolicy")[0].inputs["spec"]["egress"]
    return [(json.dumps(rule["to"]), [port["port"] for port in rule["ports"]]) for rule in rules]


def test_it_may_connect_to_dns_and_mlflow_and_outside_only_for_a_bucket_or_issuer() -> None:
    assert [ports for _, ports in reached(graph())] == [[53, 53], [5000]]
    assert "mlp-mlflow" in reached(graph())[1][0]
    bucket = replace(SHARED, request_log_uri="s3://logs/platform")
    assert [ports for _, ports in reached(graph(shared=bucket))] == [[53, 53], [5000], [443]]
    assert "169.254.0.0/16" in reached(graph(shared=bucket))[2][0]
    assert [ports for _, ports in reached(graph(shared=bucket, request_log="off"))] == [[53, 53], [5000]]
    assert [ports for _, ports in reached(graph(oidc_issuer="https://issuer", oidc_audience="models"))][2:] == [[443]]


def test_the_route_uses_tls_strips_its_prefix_and_is_rate_limited(made: Graph) -> None:
    route = made.kubernetes("IngressRoute")[0].inputs["spec"]
    assert route["entryPoints"] == ["websecure"]
    assert "tls" in route
    (rule,) = route["routes"]
    assert rule["match"] == "Host(`models.ml.example.com`) && PathPrefix(`/models/churn/`)"
    assert rule["services"] == [{"name": "churn", "port": 8000}]
    middlewares = {
        resource.inputs["metadata"]["name"]: resource.inputs["spec"] for resource in made.kubernetes("Middleware")
    }
    assert rule["middlewares"][0] == {"name": "edge"}  # the platform's, which keeps the login's cookie
    assert [middlewares[entry["name"]] for entry in rule["middlewares"][1:]] == [
        {"rateLimit": {"average": 100, "period": "1s", "burst": 200}},
        {"stripPrefix": {"prefixes": ["/models/churn"]}},
    ]


def test_metrics_are_scraped_but_not_routed(made: Graph) -> None:
    monitor = made.kubernetes("ServiceMonitor")[0].inputs["spec"]
    labels = made.kubernetes("Service")[0].inputs["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["endpoints"][0]["port"] == "metrics"
    assert (
        next(port for port in made.kubernetes("Service")[0].inputs["spec"]["ports"] if port["name"] == "metrics")[
            "port"
        ]
        == 9000
    )
    assert "9000" not in json.dumps(made.kubernetes("IngressRoute")[0].inputs)


def test_the_dashboard_has_grafanas_label(made: Graph) -> None:
    board = next(resource for resource in made.kubernetes("ConfigMap") if resource.name == "churn-dashboard")
    assert board.inputs["metadata"]["labels"]["grafana_dashboard"] == "1"
    content = json.loads(board.inputs["data"]["team-red.churn.json"])
    assert (content["uid"], content["title"]) == ("mlp-team-red-churn", "Model churn (team-red)")


def test_alerts_are_those_that_promtool_tests(made: Graph) -> None:

    assert made.kubernetes("PrometheusRule")[0].inputs["spec"]["groups"] == MODEL
    fixed = graph(min_replicas=2, max_replicas=2).kubernetes("PrometheusRule")[0].inputs["spec"]["groups"][0]["rules"]
    assert "ModelAtItsLimit" not in [rule["alert"] for rule in fixed]


def test_the_request_log_goes_to_the_platforms_bucket_if_it_has_one() -> None:
    assert "MLP_LOG" not in environment(graph())
    bucket = replace(SHARED, request_log_uri="s3://logs/platform/")
    assert environment(graph(shared=bucket))["MLP_LOG"] == "s3://logs/platform/team-red/churn"
    assert "MLP_LOG" not in environment(graph(shared=bucket, request_log="off"))
    with_secret = graph(shared=bucket, request_log_secret="bucket")
    assert pod(with_secret)["containers"][0]["envFrom"] == [{"secretRef": {"name": "bucket"}}]


def test_pages_of_other_origins_may_call_only_if_the_endpoint_says_so() -> None:
    assert "MLP_CORS_ALLOWED_ORIGINS" not in environment(graph())
    origins = ("https://app.example.com", "http://localhost:3000")
    allowed = environment(graph(cors_allowed_origins=origins))["MLP_CORS_ALLOWED_ORIGINS"]
    assert allowed == "https://app.example.com http://localhost:3000"  # as click splits the option's variable


def test_a_log_on_a_volume_outlives_the_endpoint() -> None:
    kept = graph(request_log="volume", request_log_storage_class="shared-files")
    claim = kept.kubernetes("PersistentVolumeClaim")[0]
    assert (claim.opts["protect"], claim.opts["retain_on_delete"]) == (True, True)
    assert claim.inputs["spec"]["accessModes"] == ["ReadWriteMany"]  # replicas on several nodes write to it
    assert claim.inputs["spec"]["storageClassName"] == "shared-files"
    assert environment(kept)["MLP_LOG"] == "/var/log/mlp"
    assert {"name": "log", "mountPath": "/var/log/mlp"} in pod(kept)["containers"][0]["volumeMounts"]


def test_two_endpoints_can_be_in_one_program() -> None:
    def declare() -> None:
        program()()
        ModelEndpoint("fraud", ModelEndpointArgs(**{**ARGS, "model": "fraud"}))

    made = run_program(declare)
    assert len(made.kubernetes()) == 2 * len(KINDS)


def test_outputs_of_the_shared_stack_may_be_unknown_until_the_program_runs() -> None:
    """For example, outputs from the ConfigMap, which are known only while the program runs."""

    def declare() -> None:
        shared: pulumi.Output[SharedOutputs] = pulumi.Output.from_input("unused").apply(lambda _: SHARED)
        ModelEndpoint("churn", ModelEndpointArgs(**{**ARGS, "shared": shared}))

    assert (
        run_program(declare)
        .kubernetes("IngressRoute")[0]
        .inputs["spec"]["routes"][0]["match"]
        .startswith("Host(`models.ml.example.com`)")
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"image": "churn:latest"}, "image is 'churn:latest': name it by its digest"),
        ({"model": "Churn"}, "model is 'Churn': use 1-40 lowercase letters"),
        ({"exposure": "world"}, "exposure is 'world': use cluster or public"),
        ({"request_log": "s3"}, "request_log is 's3': use auto, volume or off"),
        ({"min_replicas": 3, "max_replicas": 2}, "max_replicas is 2 and min_replicas 3"),
        ({"min_replicas": 0}, "min_replicas is 0: give 1 or more"),
        (
            {"cpu_request": "2", "cpu_limit": "500m"},
            "cpu_limit is '500m' and cpu_request '2': give cpu_limit that or more",
        ),
        ({"version": "champion"}, "version is 'champion': give the number of a registered version"),
        ({"signatures": "require"}, "signatures is 'require', but deploy/signing.pub holds no public key"),
        ({"oidc_issuer": "https://issuer"}, "oidc_issuer and oidc_audience belong together"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_invalid_arguments_are_refused_before_any_resource_exists(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        ModelEndpointArgs(**{**ARGS, **changes})


def test_the_request_log_goes_to_the_platforms_store_with_the_teams_keys() -> None:
    store: dict[str, Any] = {
        "request_log_endpoint": "https://s3.example.com:9000",
        "request_log_region": "eu-central-1",
    }
    shared = replace(SHARED, request_log_uri="s3://logs/platform", request_log_store="request-log-store", **store)
    given = environment(graph(shared=shared))
    assert (given["AWS_ENDPOINT_URL"], given["AWS_REGION"]) == ("https://s3.example.com:9000", "eu-central-1")
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert given[key] == {"secretKeyRef": {"name": "request-log-store", "key": key}}
    assert "AWS_ACCESS_KEY_ID" not in environment(graph(shared=shared, request_log_secret="own"))
    assert not {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID"} & set(environment(graph(shared=shared, request_log="off")))
