"""Every release × every edit: no conflict, no lost line, the library at the new version."""

from pathlib import Path

import pytest

from tests.conftest import commit_all, git
from tests.template.updates.conftest import Generate, Update
from tests.template.updates.edits import EDITS, Edit, append, everything, nothing, own_version, uv_add, write
from tests.template.updates.history import NEXT, RELEASES
from tests.template.updates.oracle import assert_updated, content, lost_lines, owned, seeds


@pytest.mark.parametrize("edit", [*EDITS, everything], ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("tag", RELEASES)
def test_an_edited_project_updates_without_a_conflict(
    generate_release: Generate, update: Update, tmp_path: Path, tag: str, edit: Edit
) -> None:
    folder = generate_release(tmp_path / "project", tag)
    untouched = content(folder)
    edit(folder)
    commit_all(folder, "edits") if edit is not nothing else None
    edited = content(folder)
    update(folder)
    assert_updated(folder)
    updated = content(folder)
    assert seeds(updated) == seeds(edited)
    assert lost_lines(untouched, edited, updated) == []
    assert sorted(untouched.keys() - edited.keys()) == sorted(untouched.keys() - updated.keys())


@pytest.mark.parametrize(
    "answers",
    [
        {"package_manager": "pdm", "data_source": "own"},
        {"task": "regression", "deploy_target": "kubernetes", "repository_owner": "churn-team"},
    ],
    ids=["pdm", "regression-deployed"],
)
@pytest.mark.parametrize("tag", RELEASES)
def test_an_updated_untouched_project_equals_a_fresh_copy(
    generate_release: Generate, update: Update, tmp_path: Path, tag: str, answers: dict[str, str]
) -> None:
    updated = generate_release(tmp_path / "updated", tag, **answers)
    before = content(updated)
    update(updated)
    fresh = generate_release(tmp_path / "fresh", NEXT, **answers)
    assert owned(content(updated)) == owned(content(fresh))
    assert seeds(content(updated)) == seeds(before)


def test_an_edited_project_follows_every_release(generate_release: Generate, update: Update, tmp_path: Path) -> None:
    before, *later = [*RELEASES, NEXT]
    folder = generate_release(tmp_path / "project", before)
    everything(folder)
    commit_all(folder, "edits")
    for tag in later:
        untouched, edited = content(generate_release(tmp_path / f"untouched-{before}", before)), content(folder)
        assert update(folder, tag).conflicts == []
        assert_updated(folder, tag)
        assert lost_lines(untouched, edited, content(folder)) == []
        assert seeds(content(folder)) == seeds(edited)
        git(folder, "commit", "-qm", tag)
        before = tag


@pytest.mark.parametrize("tag", RELEASES)
def test_settings_of_a_deployment_are_never_touched(
    generate_release: Generate, update: Update, tmp_path: Path, tag: str
) -> None:
    folder = generate_release(tmp_path / "project", tag, deploy_target="kubernetes")
    write(folder, "deploy/Pulumi.production.yaml", "config:\r\n  churn-model:min_replicas: 3\r\n")
    write(folder, "deploy/Pulumi.staging.yaml", "config: {}\n")
    append(folder, "deploy/keys.yaml", "keys: []\n")
    commit_all(folder, "settings")
    mine = [name for name in content(folder) if name.startswith(("deploy/Pulumi.p", "deploy/Pulumi.s", "deploy/k"))]
    before = content(folder)
    update(folder)
    assert_updated(folder, extras="training,infra")
    assert len(mine) == 3 and {name: content(folder)[name] for name in mine} == {name: before[name] for name in mine}


@pytest.mark.parametrize("tag", RELEASES)
def test_a_project_in_a_folder_of_a_larger_repository_updates(
    generate_release: Generate, update: Update, tmp_path: Path, tag: str
) -> None:
    folder = generate_release(tmp_path / "all" / "models" / "churn", tag)
    (folder / ".git").rename(tmp_path / "unused")
    git(tmp_path / "all", "init", "-q", "-b", "main")
    write(tmp_path / "all", "README.md", "All our models.\n")
    uv_add(folder)
    own_version(folder)
    commit_all(tmp_path / "all", "edits")
    edited = content(folder)
    update(folder)
    assert_updated(folder)
    assert lost_lines(content(generate_release(tmp_path / "untouched", tag)), edited, content(folder)) == []
    assert seeds(content(folder)) == seeds(edited)
