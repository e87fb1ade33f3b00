"""`mlp check` on healthy projects and on each possible problem."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from platform_lib.data.imports.staging import staging_folder
from platform_lib.findings import Finding
from platform_lib.model.card import ModelCard, write_card
from platform_lib.project_checks.lock_file import check_lock
from platform_lib.project_checks.project import (
    check_card,
    check_configuration,
    check_data,
    check_dvc,
    check_leftovers,
    check_template,
    check_user_code,
)
from platform_lib.project_checks.work_tree import check_work_tree
from platform_lib.settings import Project
from tests.conftest import commit_all, git, run_mlp

LOCKABLE = """\
[project]
name = "sample-model"
version = "0.1.0"
requires-python = ">=3.11,<3.15"
dependencies = []

[tool.mlp]
model = "sample-model"
"""


def levels(findings: object) -> list[str]:
    assert isinstance(findings, list)
    return [finding.level for finding in findings]


def only(findings: object) -> Finding:
    assert isinstance(findings, list) and len(findings) == 1, findings
    finding: Finding = findings[0]
    return finding


@pytest.mark.usefixtures("managers_on_path")
def test_the_only_problem_of_a_generated_project_is_its_placeholder_lock(project: Project) -> None:
    found = json.loads(run_mlp(project, "check", "--json", expect=1).stdout)
    assert [(entry["area"], entry["level"]) for entry in found] == [
        ("template", "note"),
        ("lock", "problem"),
        ("git", "ok"),
        ("data", "ok"),
        ("dvc", "ok"),
        ("configuration", "ok"),
        ("code", "ok"),
        ("card", "note"),
        ("registry", "ok"),
    ]


@pytest.mark.slow
def test_a_healthy_project_passes_in_plain_words(project: Project) -> None:
    lock(project)
    lines = run_mlp(project, "check").stdout.splitlines()
    assert lines[-1] == "No problems found."
    assert "ok       data: sample.csv matches conf/data/sample.yaml: 344 rows." in lines


@pytest.mark.answers(data_source="own")
def test_without_a_table_it_notes_how_to_import_one(project: Project) -> None:
    found = [only(check(project)) for check in (check_data, check_configuration)]
    assert [(finding.level, finding.text) for finding in found] == [
        (
            "note",
            "no table is selected in conf/train.yaml yet; import one with `mlp data import FILE --target COLUMN`.",
        ),
        ("note", "not composed, because no table is selected yet."),
    ]


@pytest.mark.parametrize(
    ("commit", "level", "text"),
    [
        ("v{installed}", "ok", "template and library are both at v{installed}."),
        ("v9.9.9", "problem", "the template is at v9.9.9, but the installed platform-lib is {installed}."),
        (
            "v9.9.9-3-gabc1234",
            "note",
            "generated from v9.9.9-3-gabc1234, which is not a release; the library is {installed}.",
        ),
        ("abc1234", "note", "generated from abc1234, which is not a release; the library is {installed}."),
    ],
)
def test_template_and_library_must_have_the_same_version(
    project: Project, monkeypatch: pytest.MonkeyPatch, commit: str, level: str, text: str
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: {"platform-lib": "0.2.0"}[name])
    (project.root / ".copier-answers.yml").write_text(
        f"_commit: {commit.format(installed='0.2.0')}\n", encoding="utf-8"
    )
    finding = only(check_template(project))
    assert (finding.level, finding.text) == (level, text.format(installed="0.2.0"))


@pytest.mark.parametrize(
    ("days", "level", "text"),
    [
        (-1, "problem", "the model was to be reviewed by {day}."),
        (30, "note", "the model must be reviewed by {day}."),
        (31, "ok", "conf/card.yaml is complete; the next review is due by {day}."),
    ],
)
def test_the_review_date_of_the_model_card_is_watched(project: Project, days: int, level: str, text: str) -> None:
    day = datetime.now(UTC).date() + timedelta(days=days)
    full = ModelCard(owner="a", intended_use="b", limits="c", licence="d", review_date=day)
    write_card(full, project.conf_dir)

    finding = only(check_card(project))

    assert (finding.level, finding.text) == (level, text.format(day=day))


def test_empty_fields_of_the_model_card_are_noted_and_mistakes_are_problems(project: Project) -> None:
    noted = only(check_card(project))
    (project.conf_dir / "card.yaml").write_text("owned_by: me\n", encoding="utf-8")
    wrong = only(check_card(project))

    assert (noted.level, wrong.level) == ("note", "problem")
    assert noted.text.startswith("conf/card.yaml has no limits, licence, review_date;")
    assert "`owned_by`" in wrong.text


@pytest.mark.parametrize(
    ("text", "level"),
    [(None, "note"), ("_src_path: /x\n", "note"), ("a: [", "problem")],
    ids=["missing", "no-version", "broken"],
)
def test_answers_without_a_version_are_noted(project: Project, text: str | None, level: str) -> None:
    file = project.root / ".copier-answers.yml"
    file.unlink()
    if text is not None:
        file.write_text(text, encoding="utf-8")
    assert only(check_template(project)).level == level


def test_a_missing_lock_is_a_problem(project: Project) -> None:
    (project.root / "uv.lock").unlink()
    assert only(check_lock(project)).text == "there is no lock file, so this environment cannot be rebuilt."


def test_a_second_lock_is_a_problem(project: Project) -> None:
    (project.root / "pdm.lock").write_text("", encoding="utf-8")
    assert only(check_lock(project)).text == "there are two lock files, uv.lock and pdm.lock."


def test_a_lock_outside_git_is_a_problem(project: Project) -> None:
    git(project.root, "rm", "-q", "--cached", "uv.lock")
    assert only(check_lock(project)).text == "uv.lock is not in git."


def lock(project: Project, *, manager: str = "uv") -> None:
    """A real lock of a project without dependencies: created quickly and offline."""
    (project.root / "uv.lock").unlink()
    (project.root / "pyproject.toml").write_text(LOCKABLE, encoding="utf-8")
    command = ["uv", "lock", "--offline", "--quiet"] if manager == "uv" else ["pdm", "lock", "--quiet"]
    subprocess.run([sys.executable, "-m", *command], cwd=project.root, check=True)
    commit_all(project.root, "lock")


@pytest.fixture
def managers_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)


@pytest.mark.usefixtures("managers_on_path")
@pytest.mark.parametrize("manager", ["uv", pytest.param("pdm", marks=pytest.mark.slow)])
def test_a_lock_is_compared_with_pyproject(project: Project, manager: str) -> None:
    lock(project, manager=manager)
    assert (only(check_lock(project)).level, only(check_lock(project)).text) == (
        "ok",
        f"{manager}.lock matches pyproject.toml.",
    )
    (project.root / "pyproject.toml").write_text(LOCKABLE.replace("<3.15", "<3.14"), encoding="utf-8")
    finding = only(check_lock(project))
    assert (finding.level, finding.text) == ("problem", f"{manager}.lock does not match pyproject.toml.")
    assert finding.remedy == "Run `make lock` and `make setup`, then commit the lock."


@pytest.mark.usefixtures("managers_on_path")
def test_a_lock_that_uv_cannot_check_offline_is_only_noted(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    lock(project)
    monkeypatch.setenv("UV_OFFLINE", "1")
    (project.root / "pyproject.toml").write_text(LOCKABLE.replace("[]", '["in-no-cache-at-all"]'), encoding="utf-8")
    assert levels(check_lock(project)) == ["note"]


@pytest.mark.usefixtures("managers_on_path")
def test_a_lock_that_uv_cannot_read_is_a_problem(project: Project) -> None:
    assert only(check_lock(project)).text == "uv refuses uv.lock: Failed to parse `uv.lock`."


@pytest.mark.parametrize("name", ["uv.lock", "pdm.lock"])
def test_a_lock_whose_package_manager_is_not_installed_is_only_noted(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (project.root / "uv.lock").rename(project.root / name)
    commit_all(project.root)
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr("platform_lib.settings.shutil.which", lambda *_, **__: None)
    assert levels(check_lock(project)) == ["note"]


@pytest.mark.parametrize("manager", ["uv", "pdm"])
def test_a_package_manager_that_make_setup_installed_checks_the_lock(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, manager: str
) -> None:
    (project.root / "uv.lock").rename(project.root / f"{manager}.lock")
    commit_all(project.root)
    installed = project.root / ".tools" / "bin" / manager
    installed.parent.mkdir(parents=True)
    installed.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    installed.chmod(0o755)
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(Path(shutil.which("git") or "").parent))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    assert only(check_lock(project)).text == f"{manager}.lock matches pyproject.toml."


def test_conflict_markers_in_a_tracked_file_are_a_problem(project: Project) -> None:
    (project.root / "README.md").write_text(
        "<<<<<<< before updating\na\n=======\nb\n>>>>>>> after updating\n", encoding="utf-8"
    )
    commit_all(project.root, "markers")
    assert only(check_work_tree(project)).text == "conflict markers in README.md."


def test_a_line_of_equals_signs_is_not_a_conflict(project: Project) -> None:
    (project.root / "README.md").write_text("Title\n=======\n", encoding="utf-8")
    commit_all(project.root, "heading")
    assert levels(check_work_tree(project)) == ["ok"]


def test_a_rejected_patch_is_a_problem(project: Project) -> None:
    (project.root / "pyproject.toml.rej").write_text("", encoding="utf-8")
    assert only(check_work_tree(project)).text == "an update left pyproject.toml.rej."


def test_a_project_without_a_commit_is_a_problem(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert only(check_work_tree(Project(root=tmp_path, name="x", package="x"))).remedy == "Run `make setup`."


def test_an_interrupted_import_is_a_problem(project: Project) -> None:
    assert levels(check_leftovers(project)) == []
    staging_folder(project).mkdir(parents=True)
    assert only(check_leftovers(project)).remedy == "`mlp data check` finishes it."


def test_a_table_that_violates_its_contract_is_a_problem(project: Project) -> None:
    file = project.data_dir / "sample.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("Torgersen,39.1", "Torgersen,long", 1), encoding="utf-8")
    finding = only(check_data(project))
    assert finding.level == "problem" and "bill_length_mm" in finding.text


def test_a_missing_table_is_a_problem(project: Project) -> None:
    (project.data_dir / "sample.csv").unlink()
    assert levels(check_data(project)) == ["problem"]


@pytest.fixture
def imported(project: Project, tmp_path: Path) -> Project:
    pd.DataFrame({"a": range(40), "y": ["p", "q"] * 20}).to_csv(tmp_path / "mine.csv", index=False)
    run_mlp(project, "data", "import", str(tmp_path / "mine.csv"), "--target", "y")
    commit_all(project.root, "data: mine")
    return project


@pytest.mark.slow
def test_a_table_that_is_only_in_dvc_storage_is_only_noted(imported: Project) -> None:
    assert levels(check_dvc(imported)) == ["ok"]
    (imported.data_dir / "mine.parquet").unlink()
    assert (levels(check_data(imported)), levels(check_dvc(imported))) == (["note"], ["ok"])


@pytest.mark.slow
def test_a_table_that_differs_from_its_dvc_hash_is_a_problem(imported: Project) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(imported.data_dir / "mine.parquet")
    assert only(check_dvc(imported)).text == "data/mine.parquet differs from what DVC tracks."
    (imported.data_dir / "mine.parquet.dvc").write_text("outs: 3\n", encoding="utf-8")
    assert only(check_dvc(imported)).text == "data/mine.parquet.dvc cannot be read."


def test_a_missing_storage_is_only_noted_until_a_table_needs_it(project: Project) -> None:
    (project.root / ".dvc" / "config").write_text("[core]\n    analytics = false\n", encoding="utf-8")
    assert levels(check_dvc(project)) == ["note"]
    (project.data_dir / "mine.parquet.dvc").write_text("outs:\n- md5: 0\n  path: mine.parquet\n", encoding="utf-8")
    assert levels(check_dvc(project)) == ["problem"]


def test_every_config_choice_is_composed_and_a_broken_one_is_named(project: Project) -> None:
    (project.conf_dir / "model" / "mine.yaml").write_text("name: forest\ncolour: red\n", encoding="utf-8")
    finding = only(check_configuration(project))
    assert finding.text.startswith("with model=mine: ") and "colour" in finding.text


def test_a_choice_with_a_mandatory_value_left_open_is_skipped(project: Project) -> None:
    assert "???" in (project.conf_dir / "split" / "group.yaml").read_text(encoding="utf-8")
    assert levels(check_configuration(project)) == ["ok"]


@pytest.mark.parametrize("module", ["features", "model", "pipeline"])
def test_code_that_does_not_import_is_a_problem(project: Project, module: str) -> None:
    file = project.root / "src" / project.package / f"{module}.py"
    file.write_text("import nowhere_to_be_found\n", encoding="utf-8")
    assert any("nowhere_to_be_found" in finding.text for finding in check_user_code(project))


@pytest.mark.slow
def test_a_problem_exits_1_and_says_how_to_fix_it(project: Project) -> None:
    (project.root / "uv.lock").unlink()
    done = run_mlp(project, "check", expect=1)
    expected = "there is no lock file, so this environment cannot be rebuilt. Run `make setup`, then commit the lock."
    assert f"problem  lock: {expected}" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 problem found."


def test_outside_a_project_it_is_a_usage_error(tmp_path: Path) -> None:
    run_mlp(tmp_path, "check", expect=2)
