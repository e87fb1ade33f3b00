"""`copier update` on edited projects: no conflict where the layout promises none.

Also tests what happens where it does not.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pytest
import tomlkit
import yaml

from platform_lib.project_checks.work_tree import check_work_tree
from platform_lib.settings import find_project
from tests.conftest import REPOSITORY, commit_all, git
from tests.template.conftest import HOME, NEW, OLD, Upstream, is_shallow

PIN = '"platform-lib[training] @ git+https://github.com/cloud-ml-platform/cloud-ml-platform@{}"'
SEEDS = ("src", "tests", "conf", "notebooks", "data", ".dvc")

CopyRelease = Callable[..., Path]


def replace(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{name} does not hold {old!r} once"
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")


def append(folder: Path, name: str, text: str) -> None:
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write(text)


def uv_add(folder: Path) -> None:
    for group in ([], ["--dev"]):
        subprocess.run(
            [sys.executable, "-m", "uv", "add", "--quiet", "--frozen", "--offline", *group, "idna>=3"],
            cwd=folder,
            check=True,
        )


def pdm_add(folder: Path) -> None:
    """Write what `pdm add` writes; the command itself first resolves everything, which takes minutes."""
    document: Any = tomlkit.parse((folder / "pyproject.toml").read_text(encoding="utf-8"))
    for array in (document["project"]["dependencies"], document["dependency-groups"]["dev"]):
        array.append("idna>=3")
        array.multiline(True)
    (folder / "pyproject.toml").write_text(tomlkit.dumps(document), encoding="utf-8")


def end_of_list(folder: Path) -> None:
    replace(folder, "pyproject.toml", '    "scikit-learn>=1.7",\n', '    "scikit-learn>=1.7",\n    "idna>=3",\n')
    replace(folder, "pyproject.toml", '    "nbclient>=0.10",\n', '    "nbclient>=0.10",\n    "pytest-xdist>=3",\n')


def version_bump(folder: Path) -> None:
    replace(folder, "pyproject.toml", 'version = "0.1.0"', 'version = "1.4.0"')


def own_tools(folder: Path) -> None:
    append(folder, "pyproject.toml", "\n[tool.coverage.run]\nbranch = true\n")


def readme_section(folder: Path) -> None:
    append(folder, "README.md", "\n## Who to ask\n\nThe churn team.\n")


def code_edited_and_test_deleted(folder: Path) -> None:
    append(folder, f"src/{find_project(folder).package}/features.py", "\n\nEDITED = True\n")
    append(folder, "tests/test_model.py", "\n\n# edited\n")
    (folder / "tests" / "test_notebook.py").unlink(missing_ok=True)
    append(folder, "notebooks/explore.ipynb", "\n") if (folder / "notebooks" / "explore.ipynb").exists() else None


def own_configuration(folder: Path) -> None:
    (folder / "conf" / "model" / "deep_forest.yaml").write_text(
        "name: forest\nparams: {n_estimators: 500}\n", encoding="utf-8"
    )
    replace(folder, "conf/train.yaml", "  - model: logistic\n", "  - model: deep_forest\n")
    (folder / "conf" / "model" / "boosting.yaml").unlink()


def makefile_user(folder: Path) -> None:
    (folder / "Makefile.user").write_text("ci-extra::\n\techo more\n", encoding="utf-8")


def ignored_more(folder: Path) -> None:
    append(folder, ".gitignore", "*.xlsx\n")


def own_workflow(folder: Path) -> None:
    (folder / ".github" / "workflows" / "own.yml").write_text("on: push\njobs: {}\n", encoding="utf-8")


def another_storage(folder: Path) -> None:
    config = folder / ".dvc" / "config"
    config.write_text(
        config.read_text(encoding="utf-8").replace("../../churn-model-dvc-storage", "s3://bucket"), encoding="utf-8"
    )


EDITS: list[Callable[[Path], None]] = [
    uv_add,
    pdm_add,
    end_of_list,
    version_bump,
    own_tools,
    readme_section,
    code_edited_and_test_deleted,
    own_configuration,
    makefile_user,
    ignored_more,
    own_workflow,
    another_storage,
]
TOGETHER = [edit for edit in EDITS if edit not in (pdm_add, end_of_list)]


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a project except those in .git."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.parts
    }


def update(folder: Path, ref: str | None = None) -> None:
    copier.run_update(folder, defaults=True, overwrite=True, quiet=True, vcs_ref=ref)


def assert_updated_cleanly(folder: Path, before: dict[str, bytes]) -> None:
    after = content(folder)
    assert git(folder, "ls-files", "--unmerged") == ""
    assert [name for name in after if name.endswith((".rej", ".orig"))] == []
    assert [name for name, text in after.items() if b"<<<<<<<" in text and name not in before] == []
    assert [finding.text for finding in check_work_tree(find_project(folder))] == ["no conflicts."]
    assert yaml.safe_load(after[".copier-answers.yml"])["_commit"] == NEW
    assert PIN.format(NEW) in after["pyproject.toml"].decode()
    assert {name: text for name, text in after.items() if name.split("/")[0] in SEEDS} == {
        name: text for name, text in before.items() if name.split("/")[0] in SEEDS
    }


def added_lines(before: bytes, after: bytes) -> list[bytes]:
    return [line for line in after.splitlines() if line.strip() and line not in before.splitlines()]


@pytest.fixture(scope="session")
def untouched(copy_release: CopyRelease, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A project of v0.1.0 that nobody edited."""
    return content(copy_release(tmp_path_factory.mktemp("untouched") / "project", OLD, project_name="churn-model"))


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param([], id="none"),
        *(pytest.param([edit], id=edit.__name__, marks=pytest.mark.slow) for edit in EDITS),
        pytest.param(TOGETHER, id="all-together"),
    ],
)
def test_an_edited_project_updates_without_a_conflict(
    copy_release: CopyRelease, untouched: dict[str, bytes], tmp_path: Path, edits: list[Callable[[Path], None]]
) -> None:
    folder = copy_release(tmp_path / "project", OLD, project_name="churn-model")
    for edit in edits:
        edit(folder)
    commit_all(folder, "edits")
    before = content(folder)
    update(folder)
    assert_updated_cleanly(folder, before)
    after = content(folder)
    for name in before.keys() | untouched.keys():
        mine = added_lines(untouched.get(name, b""), before.get(name, b""))
        assert [line for line in mine if line not in after.get(name, b"").splitlines()] == [], (
            f"the update lost what was added to {name}"
        )
    assert sorted(untouched.keys() - before.keys()) == sorted(name for name in untouched.keys() - after.keys())


@pytest.mark.slow
def test_an_updated_untouched_project_equals_a_fresh_copy(copy_release: CopyRelease, tmp_path: Path) -> None:
    updated = copy_release(
        tmp_path / "updated", OLD, project_name="churn-model", package_manager="pdm", data_source="own"
    )
    update(updated)
    fresh = copy_release(tmp_path / "fresh", NEW, project_name="churn-model", package_manager="pdm", data_source="own")
    old, new = content(updated), content(fresh)
    seeds = [name for name in new if name.split("/")[0] in SEEDS and old[name] != new[name]]
    assert seeds == ["tests/test_data.py"]  # changed in the template since, and not updated
    assert {name: text for name, text in old.items() if name not in seeds} == {
        name: text for name, text in new.items() if name not in seeds
    }


@pytest.mark.slow
def test_an_update_applies_the_templates_changes(copy_release: CopyRelease, tmp_path: Path) -> None:
    folder = copy_release(tmp_path / "project", OLD)
    assert "Tidy the code" in (folder / "Makefile").read_text(encoding="utf-8")
    update(folder)
    assert "Format the code" in (folder / "Makefile").read_text(encoding="utf-8")
    assert '"ipykernel>=6.29"' in (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert ".env.*" in (folder / ".gitignore").read_text(encoding="utf-8")
    assert (
        yaml.safe_load((folder / ".copier-answers.yml").read_text(encoding="utf-8"))["repository_owner"] == ""
    )  # a new question, answered by its default


def test_an_edit_right_after_the_pin_conflicts_and_mlp_check_reports_it(
    copy_release: CopyRelease, tmp_path: Path
) -> None:
    """The one place where no layout helps: git treats an edit next to a changed line as a change of that line."""
    folder = copy_release(tmp_path / "project", OLD)
    replace(folder, "pyproject.toml", f"    {PIN.format(OLD)},\n", f'    {PIN.format(OLD)},\n    "idna>=3",\n')
    commit_all(folder, "edit")
    project = find_project(folder)
    update(folder)
    assert [finding.text for finding in check_work_tree(project)] == ["unmerged: pyproject.toml."]


@pytest.mark.slow
def test_windows_line_endings_do_not_conflict(copy_release: CopyRelease, tmp_path: Path) -> None:
    folder = copy_release(tmp_path / "project", OLD)
    for name in ("README.md", "Makefile", "pyproject.toml"):
        text = (folder / name).read_bytes()
        (folder / name).write_bytes(text.replace(b"\n", b"\r\n"))
    commit_all(folder, "an editor of Windows")
    update(folder)
    assert git(folder, "ls-files", "--unmerged") == ""
    assert PIN.format(NEW) in (folder / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_changed_answer_updates_the_files_that_depend_on_it(copy_release: CopyRelease, tmp_path: Path) -> None:
    folder = copy_release(tmp_path / "project", NEW)
    copier.run_update(folder, data={"package_manager": "pdm"}, defaults=True, overwrite=True, quiet=True)
    assert "TOOL := pdm\n" in (folder / "Makefile").read_text(encoding="utf-8")
    assert git(folder, "ls-files", "--unmerged") == ""


@pytest.mark.slow
def test_an_update_keeps_deployment_settings_and_replaces_the_program(
    copy_release: CopyRelease, tmp_path: Path
) -> None:
    folder = copy_release(tmp_path / "project", OLD, deploy_target="kubernetes")
    assert "Endpoint of the trained model" in (folder / "deploy" / "Pulumi.yaml").read_text(encoding="utf-8")
    replace(folder, "deploy/Pulumi.production.yaml", "min_replicas: 2", "min_replicas: 3")
    append(folder, "deploy/keys.yaml", "keys: []\n")
    (folder / "deploy" / "Pulumi.staging.yaml").write_text("config: {}\n", encoding="utf-8")
    commit_all(folder, "settings")
    mine = {
        name: text
        for name, text in content(folder).items()
        if name.startswith(("deploy/Pulumi.p", "deploy/Pulumi.s", "deploy/keys"))
    }
    update(folder)
    assert git(folder, "ls-files", "--unmerged") == ""
    assert "Endpoint of the model" in (folder / "deploy" / "Pulumi.yaml").read_text(encoding="utf-8")
    assert {name: content(folder)[name] for name in mine} == mine
    assert len(mine) == 3


@pytest.mark.slow
def test_a_deployment_can_be_added_later(copy_release: CopyRelease, tmp_path: Path) -> None:
    folder = copy_release(tmp_path / "project", NEW)
    copier.run_update(folder, data={"deploy_target": "kubernetes"}, defaults=True, overwrite=True, quiet=True)
    assert git(folder, "ls-files", "--unmerged") == ""
    assert sorted(path.name for path in (folder / "deploy").iterdir()) == [
        "Pulumi.production.yaml",
        "Pulumi.yaml",
        "__main__.py",
    ]
    assert "platform-lib[training,infra] @" in (folder / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(is_shallow(), reason="this clone is shallow, so the first commit with the template is not in it")
def test_a_project_from_the_templates_first_commit_updates(
    upstream: Upstream, copy_release: CopyRelease, tmp_path: Path
) -> None:
    first = git(REPOSITORY, "log", "--diff-filter=A", "--format=%h", "--", "copier.yml").split()[-1]
    folder = copy_release(tmp_path / "project", first, project_name="churn-model")
    for edit in (uv_add, version_bump, own_tools, code_edited_in_sources):
        edit(folder)
    commit_all(folder, "edits")
    before = content(folder)
    update(folder)
    assert git(folder, "ls-files", "--unmerged") == ""
    after = content(folder)
    assert PIN.format(NEW) in after["pyproject.toml"].decode()
    assert 'version = "1.4.0"' in after["pyproject.toml"].decode()
    assert {name: text for name, text in before.items() if name.startswith(("src/", "conf/", "data/"))} == {
        name: text for name, text in after.items() if name.startswith(("src/", "conf/", "data/"))
    }


def code_edited_in_sources(folder: Path) -> None:
    append(folder, "src/churn_model/features.py", "\n\nEDITED = True\n")


@pytest.mark.parametrize(
    ("source", "ref", "pin"),
    [
        (HOME, NEW, "git+https://github.com/cloud-ml-platform/cloud-ml-platform@v0.2.0"),
        (
            "https://github.com/cloud-ml-platform/cloud-ml-platform.git",
            NEW,
            "git+https://github.com/cloud-ml-platform/cloud-ml-platform@v0.2.0",
        ),
        (
            "git+https://github.com/cloud-ml-platform/cloud-ml-platform",
            NEW,
            "git+https://github.com/cloud-ml-platform/cloud-ml-platform@v0.2.0",
        ),
        ("WORK", NEW, "git+file://localhostWORK@v0.2.0"),
        ("WORK", "v0.2.0~1", None),
    ],
    ids=["short", "https", "git+https", "folder-tag", "commit"],
)
def test_the_pin_names_the_templates_source(
    upstream: Upstream, copy_release: CopyRelease, tmp_path: Path, source: str, ref: str, pin: str | None
) -> None:
    where = upstream.work.as_posix()
    copier.run_copy(source.replace("WORK", where), tmp_path / "project", defaults=True, quiet=True, vcs_ref=ref)
    text = (tmp_path / "project" / "pyproject.toml").read_text(encoding="utf-8")
    expected = pin.replace("WORK", where) if pin else f"git+file://localhost{where}@{OLD}"
    assert f'"platform-lib[training] @ {expected}",' in text


def test_an_unreleased_commit_of_an_address_is_pinned_by_its_hash(upstream: Upstream, tmp_path: Path) -> None:
    ref = git(upstream.work, "rev-parse", f"{OLD}~1").strip()
    copier.run_copy(HOME, tmp_path / "project", defaults=True, quiet=True, vcs_ref=ref)
    text = (tmp_path / "project" / "pyproject.toml").read_text(encoding="utf-8")
    assert PIN.format(ref) in text


def test_a_relative_source_folder_is_stored_as_an_absolute_path(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README says `copier copy . ../project`, and `.` would mean nothing to the update."""
    monkeypatch.chdir(upstream.work)
    commit = git(upstream.work, "commit-tree", "-p", "HEAD", "-m", "after the release", "HEAD^{tree}").strip()
    copier.run_copy(".", tmp_path / "project", defaults=True, quiet=True, vcs_ref=commit)
    answers = yaml.safe_load((tmp_path / "project" / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert answers["_src_path"] == str(upstream.work.resolve())
    assert f'"platform-lib[training] @ {upstream.work.resolve().as_uri()}",' in (
        tmp_path / "project" / "pyproject.toml"
    ).read_text(encoding="utf-8")
