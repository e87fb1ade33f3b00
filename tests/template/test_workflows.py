"""The CI files of a generated project pass the validators that need no network, for every answer."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engines import need_engine
from tests.template.workflow_runner import run_job

ALL = ["ci.yml", "deploy.yml", "train.yml", "update.yml"]
NOT_CONFIGURED = {"train.yml": "MLP_TRAIN_IN_CI", "deploy.yml": "MLP_DEPLOY_IN_CI"}


@pytest.fixture(scope="module")
def workflows(render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name → file, of a project with a deployment, which has all of them."""
    folder = render(tmp_path_factory.mktemp("workflows") / "project", deploy_target="kubernetes", platform_stack="live")
    return {file.name: file for file in sorted((folder / ".github" / "workflows").iterdir())}


@pytest.fixture(scope="module")
def pipeline(render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`.gitlab-ci.yml` of a project on GitLab."""
    return render(tmp_path_factory.mktemp("gitlab") / "project", ci="gitlab") / ".gitlab-ci.yml"


def parsed(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


def tool(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found, f"{name} is not in the development environment; run `make setup`"
    return found


@pytest.mark.parametrize(
    ("answers", "files"),
    [
        ({}, [f".github/workflows/{name}" for name in ("ci.yml", "train.yml", "update.yml")]),
        ({"deploy_target": "kubernetes"}, [f".github/workflows/{name}" for name in ALL]),
        ({"ci": "gitlab", "deploy_target": "kubernetes"}, [".gitlab-ci.yml"]),
        ({"ci": "none", "deploy_target": "kubernetes"}, []),
    ],
    ids=["github", "github-kubernetes", "gitlab", "none"],
)
def test_each_answer_has_its_files(
    render: Callable[..., Path], tmp_path: Path, answers: dict[str, str], files: list[str]
) -> None:
    folder = render(tmp_path / "project", **answers)
    found = [*(folder / ".github" / "workflows").glob("*.yml"), *folder.glob(".gitlab-ci.yml")]
    assert sorted(file.relative_to(folder).as_posix() for file in found) == files
    assert (folder / ".github").exists() is any(".github" in name for name in files)


@pytest.mark.parametrize(
    ("ci", "named"), [("github", ".github/workflows/"), ("gitlab", ".gitlab-ci.yml"), ("none", "")]
)
def test_the_readme_names_only_files_of_ci_that_exist(
    render: Callable[..., Path], tmp_path: Path, ci: str, named: str
) -> None:
    readme = (render(tmp_path / "project", ci=ci, repository_owner="team") / "README.md").read_text(encoding="utf-8")
    found = [name for name in (".github/workflows/", ".gitlab-ci.yml") if name in readme]
    assert found == ([named] if named else [])
    assert ("badge.svg" in readme) is (ci == "github")


def test_workflows_match_the_schema(workflows: dict[str, Path]) -> None:
    subprocess.run(
        [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *map(str, workflows.values())],
        check=True,
    )


def test_the_pipeline_of_gitlab_matches_the_schema(pipeline: Path) -> None:
    subprocess.run([tool("check-jsonschema"), "--builtin-schema", "vendor.gitlab-ci", str(pipeline)], check=True)


def test_dependabot_updates_what_the_template_does_not(render: Callable[..., Path], tmp_path: Path) -> None:
    file = render(tmp_path / "uv") / ".github" / "dependabot.yml"
    subprocess.run([tool("check-jsonschema"), "--builtin-schema", "vendor.dependabot", str(file)], check=True)
    subprocess.run([tool("zizmor"), "--offline", "--strict-collection", "--no-progress", str(file)], check=True)
    (updates,) = parsed(file)["updates"]
    assert (updates["package-ecosystem"], updates["ignore"]) == ("uv", [{"dependency-name": "platform-lib"}])
    # Dependabot cannot update pdm.lock, so CI would refuse its pull requests.
    assert not (render(tmp_path / "pdm", package_manager="pdm") / ".github" / "dependabot.yml").exists()


@pytest.mark.parametrize("manager", ["uv", "pdm"])
def test_commit_hooks_and_the_devcontainer_run_what_exists(
    render: Callable[..., Path], tmp_path: Path, manager: str
) -> None:
    folder = render(tmp_path / "project", package_manager=manager)
    (hooks,) = parsed(folder / ".pre-commit-config.yaml")["repos"]
    entries = [hook["entry"] for hook in hooks["hooks"]]
    container = json.loads((folder / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert entries == ["make check", f"{manager} run mlp ci secrets"]
    assert container["postCreateCommand"] == "make setup"
    makefile = (folder / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{target}:" in makefile for target in ("check", "setup"))


def test_workflows_pass_the_security_audit(workflows: dict[str, Path]) -> None:
    done = subprocess.run(
        [tool("zizmor"), "--offline", "--strict-collection", "--no-progress", *map(str, workflows.values())],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.engine
def test_workflows_pass_actionlint(workflows: dict[str, Path]) -> None:
    subprocess.run([need_engine("actionlint"), *map(str, workflows.values())], check=True)


def test_every_action_is_pinned_to_a_commit_with_its_version_in_a_comment(workflows: dict[str, Path]) -> None:
    uses = [
        line.strip()
        for file in workflows.values()
        for line in file.read_text(encoding="utf-8").splitlines()
        if "uses:" in line
    ]
    assert [
        line for line in uses if not re.fullmatch(r"(- )?uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
    ] == []


@pytest.mark.parametrize("name", ALL)
def test_every_job_has_a_timeout_and_only_the_rights_that_it_states(workflows: dict[str, Path], name: str) -> None:
    workflow = parsed(workflows[name])
    assert workflow["permissions"] == {}
    assert "concurrency" in workflow
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 120
        assert job.get("permissions", {}).get("contents", "read") == "read"


def test_no_workflow_has_a_key_of_a_cloud(workflows: dict[str, Path], pipeline: Path) -> None:
    for file in (*workflows.values(), pipeline):
        assert not re.search(r"SECRET_ACCESS_KEY|KUBECONFIG|REGISTRY_PASSWORD", file.read_text(encoding="utf-8"))


def test_only_the_comment_may_write_to_pull_requests_and_forks_never_do(workflows: dict[str, Path]) -> None:
    jobs = parsed(workflows["ci.yml"])["jobs"]
    assert [name for name, job in jobs.items() if job["permissions"].get("pull-requests")] == ["comment"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in jobs["comment"]["if"]


@pytest.mark.parametrize("name", NOT_CONFIGURED)
def test_an_unconfigured_workflow_says_that_it_was_skipped(
    workflows: dict[str, Path], tmp_path: Path, name: str
) -> None:
    jobs, variable = parsed(workflows[name])["jobs"], NOT_CONFIGURED[name]
    assert jobs["not-configured"]["if"] == f"vars.{variable} != 'true'"
    first = next(job for key, job in jobs.items() if key != "not-configured")
    assert first["if"].startswith(f"vars.{variable} == 'true'")
    others = [job for key, job in jobs.items() if key != "not-configured" and job is not first]
    assert all("needs" in job for job in others)  # skipped with the first one
    ran = run_job(
        workflows[name],
        "not-configured",
        folder=tmp_path,
        env=lambda _: os.environ,
        actions=frozenset(),
        expressions={},
        temporary=tmp_path,
    )
    assert ran == ["Say so"]


def test_an_image_is_deployed_by_digest_after_scan_and_signature_first_to_staging(workflows: dict[str, Path]) -> None:
    jobs = parsed(workflows["deploy.yml"])["jobs"]
    steps = [step.get("uses", "").split("@")[0] or step["name"] for step in jobs["image"]["steps"]]
    order = ["docker/build-push-action", "aquasecurity/trivy-action", "actions/attest", "Sign"]
    assert [name for name in steps if name in order] == order
    assert jobs["image"]["outputs"]["image"].endswith("@${{ steps.build.outputs.digest }}")
    assert (jobs["staging"]["needs"], jobs["staging"]["environment"]) == ("image", "staging")
    assert (jobs["production"]["needs"], jobs["production"]["environment"]) == (["image", "staging"], "production")
    runs = [job["steps"][-1]["run"] for job in (jobs["staging"], jobs["production"])]
    assert runs == [f'.venv/bin/mlp deploy --stack {stack} --image "$IMAGE" --yes' for stack in ("staging", "live")]


def test_a_promotion_needs_a_training_and_an_approval(workflows: dict[str, Path], pipeline: Path) -> None:
    promote = parsed(workflows["train.yml"])["jobs"]["promote"]
    assert (promote["needs"], promote["environment"]) == ("train", "promotion")
    promote = parsed(pipeline)["promote"]
    assert (promote["needs"], promote["environment"]) == (["train"], "promotion")
    assert all(rule["when"] in ("never", "manual") for rule in promote["rules"])


def test_gitlab_runs_the_commands_of_github(workflows: dict[str, Path], pipeline: Path) -> None:
    """Those of GitHub are run step by step in test_package_managers."""
    steps = [step["run"] for step in parsed(workflows["ci.yml"])["jobs"]["check"]["steps"] if "run" in step]
    commands = [line for line in steps if line.startswith(("make ", ".venv/bin/mlp "))]
    jobs = parsed(pipeline)
    script = "\n".join([*jobs["default"]["before_script"], *jobs["check"]["script"]])
    assert [command for command in commands if command not in script] == []


def test_updates_are_skipped_until_an_app_is_configured(workflows: dict[str, Path]) -> None:
    assert parsed(workflows["update.yml"])["jobs"]["update"]["if"] == "vars.UPDATE_APP_CLIENT_ID != ''"


@pytest.mark.parametrize("conflict", [False, True], ids=["clean", "conflict"])
def test_the_update_workflow_describes_its_changes(
    workflows: dict[str, Path], tmp_path: Path, *, conflict: bool
) -> None:
    """Its steps run with fakes for the programs that need the network; the tests of updates cover Copier's own part."""
    folder, programs = tmp_path / "project", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    (folder / "Makefile").write_text("lock:\n\techo locked > locked.txt\n", encoding="utf-8")
    (programs / "uvx").write_text("#!/bin/sh\n", encoding="utf-8")
    unmerged = "echo README.md" if conflict else "true"
    (programs / "git").write_text(f'#!/bin/sh\nif [ "$1" = diff ]; then {unmerged}; fi\n', encoding="utf-8")
    for program in programs.iterdir():
        program.chmod(0o755)
    run_job(
        workflows["update.yml"],
        "update",
        folder=folder,
        env=lambda _: os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        actions=frozenset(
            {
                "actions/create-github-app-token",
                "actions/checkout",
                "astral-sh/setup-uv",
                "peter-evans/create-pull-request",
            }
        ),
        expressions={},
        temporary=tmp_path,
    )
    outputs = dict(line.split("=", 1) for line in (tmp_path / "github_output").read_text(encoding="utf-8").splitlines())
    assert outputs["draft"] == str(conflict).lower()
    assert ("- README.md" in Path(outputs["body"]).read_text(encoding="utf-8")) is conflict
    assert (folder / "locked.txt").exists() is not conflict
