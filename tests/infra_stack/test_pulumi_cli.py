"""The life cycle of the shared stack with the real Pulumi CLI on simulated providers."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.infra.pulumi_cli import needs_kubernetes_provider, needs_pulumi, pulumi_environment, pulumi_path
from tests.infra.stacks import FOLDER, PROJECT, documented_secrets, example
from tests.k8slab.lab import Lab

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    needs_pulumi,
]


@contextmanager
def simulated(*packages: str) -> Iterator[str]:
    """`package:PORT,…` of simulated providers with an empty cloud."""
    command = [sys.executable, "-m", "tests.infra.harness.plugin", *packages]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def make_stack(folder: Path, name: str, providers: str, kubeconfig: str, **changes: Any) -> Any:
    """The repository's shared stack with the settings of an example and its state in a folder.

    Secrets are set with the documented commands.
    """
    from pulumi import automation as auto

    work = folder / "infra_stack"
    shutil.copytree(FOLDER, work, ignore=shutil.ignore_patterns("__pycache__", "Pulumi.*.yaml"))
    project = (
        (work / "Pulumi.yaml")
        .read_text(encoding="utf-8")
        .replace("virtualenv: ../.venv", f"virtualenv: {Path(sys.prefix).as_posix()}")
    )
    (work / "Pulumi.yaml").write_text(project, encoding="utf-8")
    environment = {
        **pulumi_environment(folder),
        "PULUMI_DEBUG_PROVIDERS": providers,
        "KUBECONFIG": kubeconfig,
        "PYTHONPATH": str(REPOSITORY),
    }
    made = auto.create_or_select_stack(name, work_dir=str(work), opts=auto.LocalWorkspaceOptions(env_vars=environment))
    for key, value in (example(name) | changes).items():
        _set(made, auto, key, value)
    for arguments in documented_secrets() if name == "team" else ():
        made.workspace.pulumi_command.run([*arguments, "--stack", name], str(work), environment)
    return made


def remove(stack: Any) -> None:
    """Destroy everything, including protected resources."""
    stack.workspace.pulumi_command.run(
        ["state", "unprotect", "--all", "--yes", "--stack", stack.name],
        stack.workspace.work_dir,
        stack.workspace.env_vars,
    )
    stack.destroy()


@pytest.fixture
def stack(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An example on simulated providers."""
    monkeypatch.setenv("PATH", pulumi_path(tmp_path / "bin"))
    with simulated("kubernetes", "random", "aws") as providers:
        made = make_stack(tmp_path, request.param, providers, os.devnull)  # a forgotten provider fails
        yield made
        remove(made)


def _set(stack: Any, auto: Any, key: str, value: Any) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            stack.set_config(f"{PROJECT}:{key}[{index}]", auto.ConfigValue(item), path=True)
    else:
        stack.set_config(
            f"{PROJECT}:{key}", auto.ConfigValue(str(value).lower() if isinstance(value, bool) else str(value))
        )


def changed(result: Any) -> dict[str, int]:
    return {
        str(getattr(step, "value", step)): count for step, count in result.summary.resource_changes.items() if count
    }


@pytest.mark.parametrize("stack", ["local", "team"], indirect=True)
def test_a_stack_is_created_updated_and_destroyed(stack: Any) -> None:
    from pulumi import automation as auto

    planned = stack.preview()
    assert set(planned.change_summary) == {"create"}
    made = changed(stack.up())
    assert set(made) == {"create"}
    assert set(changed(stack.up(expect_no_changes=True))) == {"same"}

    stack.set_config(f"{PROJECT}:team_cpu", auto.ConfigValue("64"))
    assert set(changed(stack.up())) == {"same", "update"}
    assert {output.secret for output in stack.outputs().values()} == {False}
    with pytest.raises(auto.CommandError, match="protected"):
        stack.destroy()


@pytest.mark.parametrize("stack", ["aws"], indirect=True)
def test_a_stack_on_aws_is_previewed(stack: Any) -> None:
    planned = stack.preview().change_summary
    assert set(planned) == {"create"} and planned["create"] > 300


def documented_settings() -> list[list[str]]:
    """Arguments of each `pulumi config set` without a secret in the documentation, in code blocks and in sentences.

    Those of clusters.md and aws.md are alternatives for a new stack, and exclude one another.
    """
    alternatives = ("aws.md", "clusters.md")
    pages = [page for page in sorted((REPOSITORY / "docs/platform").glob("*.md")) if page.name not in alternatives]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    found = re.findall(r"(?:^|`)pulumi (config set (?!--secret)[^`&\n]*)", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in found if "$(" not in line]


@pytest.mark.parametrize("stack", ["local"], indirect=True)
def test_every_documented_setting_is_accepted_and_deletes_nothing(stack: Any) -> None:
    stack.up()
    workspace = stack.workspace
    commands = documented_settings()
    assert len(commands) >= 8 and ["config", "set", "--path", "teams[1]", "churn"] in commands
    for arguments in commands:
        workspace.pulumi_command.run([*arguments, "--stack", stack.name], workspace.work_dir, workspace.env_vars)
    assert "delete" not in stack.preview().change_summary


WRONG = {  # a user's arguments to `pulumi config set` → the sentence
    ("--path", "trusted_proxies[0]", "nonsense"): "trusted_proxies[0] is 'nonsense': give the network of a proxy",
    ("team_cpus", "8"): "team_cpus is not a setting of this stack (did you mean team_cpu?)",
    ("alerts", "https://hooks.slack.com/x"): "`pulumi config set --secret alerts` encrypts it",
}


@pytest.mark.parametrize("stack", ["local"], indirect=True)
def test_an_invalid_setting_fails_a_preview_with_one_sentence(stack: Any) -> None:
    from pulumi import automation as auto

    def config(*arguments: str) -> None:
        workspace = stack.workspace
        command = ["config", *arguments, "--stack", stack.name]
        workspace.pulumi_command.run(command, workspace.work_dir, workspace.env_vars)

    for arguments, sentence in WRONG.items():
        config("set", *arguments)
        with pytest.raises(auto.CommandError) as caught:
            stack.preview()
        assert sentence in str(caught.value) and "Traceback" not in str(caught.value)
        config("rm", arguments[-2].partition("[")[0])


@pytest.mark.parametrize("stack", ["local"], indirect=True)
def test_the_policy_pack_passes_a_valid_stack_and_reports_violations(stack: Any) -> None:
    from pulumi import automation as auto

    pack = Path(stack.workspace.work_dir) / "policy"
    text = (pack / "PulumiPolicy.yaml").read_text(encoding="utf-8")
    (pack / "PulumiPolicy.yaml").write_text(
        text.replace("virtualenv: ../../.venv", f"virtualenv: {Path(sys.prefix).as_posix()}"), encoding="utf-8"
    )
    stack.preview(policy_packs=[str(pack)])

    program = Path(stack.workspace.work_dir) / "__main__.py"
    program.write_text(
        program.read_text(encoding="utf-8")
        + '\nk8s.core.v1.Service("door", spec={"type": "NodePort"}, opts=on_cluster)\n',
        encoding="utf-8",
    )
    with pytest.raises(auto.CommandError, match="services-stay-inside"):
        stack.preview(policy_packs=[str(pack)])


@pytest.mark.xdist_group("cluster")
@needs_kubernetes_provider
def test_the_local_example_is_applied_to_a_real_api_server_and_destroyed(
    lab: Lab, chart_mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uses Pulumi's own Kubernetes provider, which installs the charts too.

    Only random passwords come from a simulated provider.
    """
    monkeypatch.setenv("PATH", pulumi_path(tmp_path / "bin"))
    before = set(namespaces(lab))
    with simulated("random") as providers:
        stack = make_stack(tmp_path, "local", providers, str(lab.kubeconfig), chart_mirror=str(chart_mirror))
        try:
            assert set(changed(stack.up())) == {"create"}
            assert set(changed(stack.up(expect_no_changes=True))) == {"same"}
            assert set(changed(stack.refresh())) == {"same"}
        finally:
            remove(stack)
    assert set(namespaces(lab)) == before


def namespaces(lab: Lab) -> list[str]:
    return [item["metadata"]["name"] for item in lab.request("GET", "/api/v1/namespaces")["items"]]
