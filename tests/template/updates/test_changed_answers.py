"""Answers given at an update: followed where the template owns the files, refused where the user does."""

from pathlib import Path

import pytest

from tests.conftest import commit_all, git
from tests.template.updates.conftest import Generate, Update
from tests.template.updates.history import LATEST, NEXT


@pytest.mark.parametrize(
    ("answer", "value", "remedy"),
    [
        ("project_name", "another-model", "generate a new project"),
        ("task", "regression", "generate a new project"),
        ("data_source", "iris", "mlp data import"),
        ("dvc_remote", "s3://bucket/tables", "dvc remote modify storage url s3://bucket/tables"),
    ],
)
def test_an_answer_that_the_users_files_depend_on_is_refused(
    generate_release: Generate, update: Update, tmp_path: Path, answer: str, value: str, remedy: str
) -> None:
    folder = generate_release(tmp_path / "project", LATEST)
    with pytest.raises(ValueError, match=remedy) as refused:
        update(folder, **{answer: value})
    assert f"{answer} is '{value}', but " in str(refused.value)
    assert git(folder, "status", "--porcelain") == ""


def test_the_same_answer_is_accepted(generate_release: Generate, update: Update, tmp_path: Path) -> None:
    folder = generate_release(tmp_path / "project", LATEST)
    update(folder, task="classification", dvc_remote="../churn-model-dvc-storage")
    assert NEXT in (folder / ".copier-answers.yml").read_text(encoding="utf-8")


def test_answers_about_files_of_the_template_are_followed(
    generate_release: Generate, update: Update, tmp_path: Path
) -> None:
    folder = generate_release(tmp_path / "project", LATEST)
    update(folder, package_manager="pdm", repository_owner="churn-team", description="Who leaves.")
    assert "TOOL := pdm\n" in (folder / "Makefile").read_text(encoding="utf-8")
    project = (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert 'description = "Who leaves."' in project
    assert 'Repository = "https://github.com/churn-team/churn-model"' in project


def test_a_deployment_and_a_second_stack_get_their_first_settings(
    generate_release: Generate, update: Update, tmp_path: Path
) -> None:
    folder = generate_release(tmp_path / "project", LATEST)
    update(folder, deploy_target="kubernetes")
    assert sorted(path.name for path in (folder / "deploy").iterdir()) == [
        "Pulumi.production.yaml",
        "Pulumi.yaml",
        "__main__.py",
    ]
    assert "platform-lib[training,infra] @" in (folder / "pyproject.toml").read_text(encoding="utf-8")
    commit_all(folder, "deployment")
    update(folder, platform_stack="staging")
    assert (folder / "deploy" / "Pulumi.staging.yaml").is_file()
    assert git(folder, "diff", "HEAD", "--name-only", "--", "deploy/Pulumi.production.yaml") == ""


@pytest.mark.parametrize(
    "answers", [{"platform_stack": "other"}, {"deploy_target": "none"}], ids=["renamed", "removed"]
)
def test_filled_settings_survive_another_stack_and_the_end_of_the_deployment(
    generate_release: Generate, update: Update, tmp_path: Path, answers: dict[str, str]
) -> None:
    folder = generate_release(tmp_path / "project", LATEST, deploy_target="kubernetes")
    settings = folder / "deploy" / "Pulumi.production.yaml"
    settings.write_text("config:\n  churn-model:min_replicas: 9\n", encoding="utf-8")
    commit_all(folder, "settings")
    update(folder, **answers)
    assert settings.read_text(encoding="utf-8") == "config:\n  churn-model:min_replicas: 9\n"
    commit_all(folder, "update")
    update(folder)
    assert settings.read_text(encoding="utf-8") == "config:\n  churn-model:min_replicas: 9\n"


def test_deleted_settings_stay_deleted(generate_release: Generate, update: Update, tmp_path: Path) -> None:
    folder = generate_release(tmp_path / "project", LATEST, deploy_target="kubernetes")
    (folder / "deploy" / "Pulumi.production.yaml").unlink()
    commit_all(folder, "settings")
    update(folder)
    assert not (folder / "deploy" / "Pulumi.production.yaml").exists()
