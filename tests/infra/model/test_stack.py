"""The program of a generated `deploy/`, run like Pulumi runs it, with the outputs of a shared stack."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pulumi
import pytest

from platform_lib.infra.base.outputs import outputs_data
from platform_lib.names import KEY_FILE_MARK, Env
from tests.infra.chart_stubs.charts import facts
from tests.infra.harness.checks import schema_errors
from tests.infra.harness.graph import Call, Graph, run_program
from tests.infra.shared import SHARED

IMAGE = "registry.example.com/churn@sha256:" + "a" * 64
NEXT = "registry.example.com/churn@sha256:" + "c" * 64
KEYS = "keys:\n- name: shop\n  sha256: " + "b" * 64 + "\n  scopes: [predict]\n  created: '2026-11-25'\n"
PUBLISHED = outputs_data(SHARED)

Run = Callable[..., Graph]


@pytest.fixture(scope="module")
def folder(template_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`deploy/` of a generated project, with a key."""
    project = tmp_path_factory.mktemp("model-stack") / "project"
    answers = {"project_name": "churn-model", "deploy_target": "kubernetes"}
    copier.run_copy(str(template_source), project, data=answers, defaults=True, quiet=True)
    (project / "deploy" / "keys.yaml").write_text(KEYS, encoding="utf-8")
    return project / "deploy"


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run(min_replicas="3")`: the graph, with settings of Pulumi.<stack>.yaml."""
    monkeypatch.setenv(Env.DEPLOY_IMAGE, IMAGE)

    def run(
        published: dict[str, str] = PUBLISHED, *, preview: bool = False, where: Path = folder, **settings: str
    ) -> Graph:
        def config_map(call: Call) -> dict[str, Any]:
            return {"data": published} if call.name == "platform-outputs" else {}

        return run_program(
            lambda: runpy.run_path(str(where / "__main__.py"), run_name="__main__"),
            project="churn-model",
            stack="production",
            preview=preview,
            config={f"churn-model:{name}": value for name, value in {"namespace": "team-red", **settings}.items()},
            fakes={"kubernetes:core/v1:ConfigMap": config_map},
        )

    return run


def test_the_program_declares_an_endpoint_of_the_project(run: Run) -> None:
    made = run()
    endpoint = made.one("platform-lib:index:ModelEndpoint")
    assert endpoint.name == "churn-model"
    assert made.outputs == {
        "url": "https://models.ml.example.com/models/churn-model",
        "service_url": "http://churn-model.team-red:8000",
        "image": IMAGE,
        "namespace": "team-red",
    }
    assert made.secret_outputs == set()


def test_every_resource_goes_to_the_teams_namespace_through_one_provider(run: Run) -> None:
    made = run(context="platform")
    assert {resource.inputs["metadata"]["namespace"] for resource in made.kubernetes() if not resource.read} == {
        "team-red"
    }
    assert {resource.provider for resource in made.kubernetes()} == {"cluster"}
    provider = made.one("pulumi:providers:kubernetes", "cluster").inputs
    assert (provider["context"], provider["clusterIdentifier"]) == ("platform", "churn-model-production")


def test_the_shared_outputs_are_read_from_the_teams_namespace(run: Run) -> None:
    made = run()
    outputs = made.one("kubernetes:core/v1:ConfigMap", "platform-outputs")
    assert (outputs.read, outputs.id) == (True, "team-red/platform-outputs")


def test_settings_reach_the_endpoint(run: Run) -> None:
    made = run(
        min_replicas="3",
        max_replicas="9",
        version="7",
        memory="3Gi",
        alert_latency_p99_s="0.5",
        requests_per_s_per_replica="",
    )
    scaler = made.kubernetes("HorizontalPodAutoscaler")[0].inputs["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 9)
    container = made.kubernetes("Deployment")[0].inputs["spec"]["template"]["spec"]["containers"][0]
    assert container["command"][2] == "models:/churn-model/7"
    assert container["resources"]["limits"]["memory"] == "3Gi"
    slow = next(
        rule
        for rule in made.kubernetes("PrometheusRule")[0].inputs["spec"]["groups"][0]["rules"]
        if rule["alert"] == "ModelSlow"
    )
    assert slow["expr"].endswith("> 0.5")


def test_nodes_gpus_annotations_and_pull_secrets_reach_the_pods_and_their_account(run: Run) -> None:
    made = run(
        {**PUBLISHED, "registry_logins": "image-pull"},
        gpus="2",
        node_selector='["pool=gpu"]',
        tolerations='["nvidia.com/gpu:NoSchedule"]',
        pod_annotations='["karpenter.sh/do-not-disrupt=true"]',
        image_pull_secrets='["own-registry", "image-pull"]',
        service_account_annotations='["eks.amazonaws.com/role-arn=arn:aws:iam::1:role/churn"]',
    )
    template = made.kubernetes("Deployment")[0].inputs["spec"]["template"]
    assert template["metadata"]["annotations"] == {"karpenter.sh/do-not-disrupt": "true"}
    assert template["spec"]["nodeSelector"] == {"pool": "gpu"}
    assert template["spec"]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert template["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    [account] = made.kubernetes("ServiceAccount")
    assert account.inputs["imagePullSecrets"] == [{"name": "image-pull"}, {"name": "own-registry"}]
    assert account.inputs["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/churn"}
    assert schema_errors(made, facts()) == []


def test_without_these_settings_the_pods_have_none_of_them(run: Run) -> None:
    made = run()
    template = made.kubernetes("Deployment")[0].inputs["spec"]["template"]
    assert not {"nodeSelector", "tolerations", "imagePullSecrets"} & set(template["spec"])
    assert "annotations" not in template["metadata"]
    assert "nvidia.com/gpu" not in template["spec"]["containers"][0]["resources"]["limits"]


def test_the_server_gets_the_repositorys_keys(run: Run) -> None:
    assert {"keys.yaml": KEYS} in [resource.inputs.get("data") for resource in run().kubernetes("ConfigMap")]


def test_the_server_gets_the_repositorys_signers(folder: Path, run: Run) -> None:
    signers = folder / "signing.pub"
    signers.write_text("-----BEGIN PUBLIC KEY-----", encoding="utf-8")
    try:
        data = [resource.inputs.get("data") for resource in run().kubernetes("ConfigMap")]
    finally:
        signers.unlink()
    assert {"keys.yaml": KEYS, "signing.pub": "-----BEGIN PUBLIC KEY-----"} in data


def test_a_preview_and_an_up_declare_the_same(run: Run) -> None:
    assert {resource.urn for resource in run(preview=True).resources} == {resource.urn for resource in run().resources}


def refusal(run: Run, *args: Any, **settings: Any) -> str:
    with pytest.raises(pulumi.RunError) as caught:
        run(*args, **settings)
    return str(caught.value)


def test_a_missing_namespace_is_reported_in_one_sentence(run: Run) -> None:
    assert refusal(run, namespace="") == (
        "namespace is not set: write `churn-model:namespace: team-NAME` into deploy/Pulumi.production.yaml, "
        "with the name that your team has on the platform."
    )


def test_a_missing_image_is_reported_in_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(Env.DEPLOY_IMAGE)
    assert refusal(run).startswith("image is not set: run `mlp deploy`, or set MLP_DEPLOY_IMAGE=NAME@sha256:…")


def test_an_image_with_a_tag_instead_of_a_digest_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(Env.DEPLOY_IMAGE, "churn:latest")
    assert refusal(run).startswith("MLP_DEPLOY_IMAGE is 'churn:latest': name it by its digest")


def test_a_public_model_without_a_key_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    import shutil

    bare = Path(shutil.copytree(folder.parent, tmp_path / "project")) / "deploy"
    (bare / "keys.yaml").unlink()
    assert (
        refusal(run, where=bare)
        == "deploy/keys.yaml contains no key, so nobody could call the model: create one with `mlp keys new NAME`."
    )
    assert run(where=bare, exposure="cluster").kubernetes("IngressRoute") == []
    assert run(where=bare, oidc_issuer="https://issuer", oidc_audience="models").kubernetes("IngressRoute")


@pytest.mark.parametrize(
    "text", ["", "{}", KEYS[:40], f"{KEY_FILE_MARK}\n{KEYS}"], ids=["empty", "none", "half", "cut"]
)
def test_a_broken_key_file_is_never_deployed(run: Run, folder: Path, tmp_path: Path, text: str) -> None:
    import shutil

    bare = Path(shutil.copytree(folder.parent, tmp_path / "project")) / "deploy"
    (bare / "keys.yaml").write_text(text, encoding="utf-8")
    said = refusal(run, where=bare)
    assert said.startswith("deploy/keys.yaml is empty, broken or incomplete, so nothing was deployed")


def test_a_namespace_without_a_platform_is_reported_in_one_sentence(run: Run) -> None:
    said = refusal(run, {})
    assert said.startswith(
        "ConfigMap platform-outputs in team-red has contract version none, but this library reads version 1"
    )
