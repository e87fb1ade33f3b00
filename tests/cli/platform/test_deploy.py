"""`mlp deploy`: its preconditions, each refused in one sentence, and a full run with Pulumi's CLI."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from platform_lib.infra.base.outputs import outputs_data
from platform_lib.operations.settings import deploy_setting, find_stack, stack_settings
from platform_lib.settings import Project
from tests.conftest import Called
from tests.infra.pulumi_cli import needs_pulumi, pulumi_environment, pulumi_path
from tests.infra.shared import SHARED
from tests.k8slab.lab import Lab

IMAGE = "registry.example.com/red/sample-model@sha256:" + "a" * 64
NEXT = "registry.example.com/red/sample-model@sha256:" + "b" * 64

deployed = pytest.mark.answers(deploy_target="kubernetes")


def test_a_project_without_a_deployment_gets_instructions_to_add_one(
    project: Project, call_mlp: Callable[..., Called]
) -> None:
    done = call_mlp(project, "deploy", "--image", IMAGE, "--yes")
    assert (done.code, "`copier update --data deploy_target=kubernetes` adds one" in done.err) == (2, True)


@deployed
def test_without_pulumi_the_error_says_where_to_get_it(
    project: Project, call_mlp: Callable[..., Called], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform_lib.operations.stack.shutil.which", lambda _: None)
    done = call_mlp(project, "deploy", "--image", IMAGE, "--yes")
    assert (done.code, "the pulumi CLI is not on PATH: install it" in done.err) == (2, True)


@deployed
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--image", "registry/x:latest", "--yes"), "--image is 'registry/x:latest', expected an image by digest"),
        (("--yes",), "no repository to push the image to: set --repository"),
        (
            ("--image", IMAGE),
            "cannot ask for confirmation without a terminal: use --yes to deploy, or --preview to look",
        ),
        (
            ("--image", IMAGE, "--yes", "--stack", "staging"),
            "there is no Pulumi.staging.yaml in deploy/: stacks with settings are production",
        ),
    ],
    ids=["tag", "no-image", "no-answer", "no-stack"],
)
def test_a_missing_setting_is_reported(
    project: Project,
    call_mlp: Callable[..., Called],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    done = call_mlp(project, "deploy", *arguments)
    assert (done.code, sentence in done.err) == (2, True), done.err


@deployed
def test_other_commands_read_the_settings_of_the_only_stack(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project.root / "deploy"
    assert find_stack(folder) == "production"
    assert stack_settings(folder, "production") == {"namespace": "team-tests", "min_replicas": 2, "max_replicas": 6}
    monkeypatch.chdir(project.root / "src")
    assert deploy_setting("namespace") == "team-tests"
    (folder / "Pulumi.staging.yaml").write_text("config: {}\n", encoding="utf-8")
    assert deploy_setting("namespace") == ""  # with two stacks, it is not known which one is meant


@deployed
@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.xdist_group("cluster")
@needs_pulumi
def test_the_real_pulumi_deploys_previews_and_deploys_again(
    project: Project,
    lab: Lab,
    chart_mirror: Path,
    call_mlp: Callable[..., Called],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Uses Pulumi's own Kubernetes provider on a real API server; pods are fake, so no smoke test is sent over HTTP."""
    from platform_lib.cli import main

    environment = {
        **pulumi_environment(tmp_path),
        "PATH": pulumi_path(tmp_path / "bin"),
        "KUBECONFIG": str(lab.kubeconfig),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        main(["platform", "upgrade-crds", "--chart-mirror", str(chart_mirror)])
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-tests"}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "platform-outputs", "namespace": "team-tests"},
            "data": outputs_data(SHARED),
        },
    ]
    lab.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    call_mlp(project, "keys", "new", "shop")
    try:
        done = call_mlp(project, "deploy", "--image", IMAGE, "--yes", "--skip-smoke-test")
        assert done.code == 0, done.err
        assert f"sample-model is serving at https://models.ml.example.com/models/sample-model from {IMAGE}." in done.out
        assert running(lab) == IMAGE
        assert call_mlp(project, "deploy", "--image", NEXT, "--preview").code == 0
        assert running(lab) == IMAGE
        assert call_mlp(project, "deploy", "--image", NEXT, "--yes", "--skip-smoke-test").code == 0
        assert running(lab) == NEXT
    finally:
        lab.kubectl("delete", "namespace", "team-tests", "--wait=true")


def running(lab: Lab) -> str:
    path = "{.spec.template.spec.containers[0].image}"
    return lab.kubectl("-n", "team-tests", "get", "deployment", "sample-model", "-o", f"jsonpath={path}").stdout
