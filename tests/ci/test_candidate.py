"""`mlp ci train` trains in the runner, and compares with the champion of the team's registry."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from platform_lib.ci.candidate import why_no_training
from platform_lib.ci.page import code, escaped, slice_lines
from platform_lib.errors import NotFound
from platform_lib.registry import Registry
from platform_lib.settings import Project, Settings
from platform_lib.training.diagnostics.tables import Diagnostics, Slice, SliceSearch
from platform_lib.training.diagnostics.tables.interval import Interval
from tests.conftest import COMPLETE, Called, commit_all

GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "team/churn", "GITHUB_RUN_ID": "5"}


@pytest.mark.slow
@pytest.mark.xdist_group("servers")
@pytest.mark.answers(**COMPLETE | {"project_name": "ci-model"})
def test_the_gate_compares_with_the_teams_champion_and_registers_nothing_for_the_team(
    mlflow_server: str,
    project: Project,
    call_mlp: Callable[..., Called],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from platform_lib.training.run import train

    team = Registry(mlflow_server)
    train(project, Settings(tracking_uri=mlflow_server))
    team.promote(team.resolve("ci-model/1"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    for name, value in (GITHUB | {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}).items():
        monkeypatch.setenv(name, value)
    called = call_mlp(project, "ci", "train", "model.params.C=0.000001")
    page = (project.root / "build" / "ci" / "candidate.md").read_text(encoding="utf-8")
    assert called.code == 1
    assert page.startswith("## `ci-model`: refused by the gate\n")
    assert "Compared with the team's champion, version 1, on the same held-out rows." in page
    assert "for the champion, version 1 on the same" in page
    assert "is an artifact of [this run](https://github.com/team/churn/actions/runs/5)" in page
    assert (tmp_path / "summary.md").read_text(encoding="utf-8") == page
    assert "version 1, the champion then" in (project.root / "build/ci/report.html").read_text(encoding="utf-8")
    assert [(each.version, each.aliases) for each in team.versions("ci-model")] == [("1", ("candidate", "champion"))]


@pytest.mark.slow
def test_without_a_shared_registry_it_says_that_only_the_thresholds_decided(
    project: Project, call_mlp: Callable[..., Called], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in GITHUB.items():
        monkeypatch.setenv(name, value)
    called = call_mlp(project, "ci", "train")
    assert called.code == 0, called.err
    assert "## `sample-model`: passed the gate\n" in called.out
    said = "Judged by thresholds only: this runner knows no shared registry"
    assert f"::notice title=mlp ci::{said}" in called.out
    assert "\n### Weakest slices\n" in called.out
    assert said in (project.root / "build" / "ci" / "candidate.md").read_text(encoding="utf-8")


def test_a_table_that_the_runner_did_not_fetch_is_skipped_with_the_reason(
    project: Project, call_mlp: Callable[..., Called]
) -> None:
    table = next((project.root / "data").glob("*.csv"))
    table.rename(table.with_name("elsewhere"))
    with pytest.raises(NotFound):
        why_no_training(project)
    Path(f"{table}.dvc").write_text("outs: []\n", encoding="utf-8")
    commit_all(project.root)
    called = call_mlp(project, "ci", "train")
    assert called.code == 0
    assert "Not trained: DVC stores the table 'sample', and this runner did not fetch it." in called.out
    assert "MLP_DATA_IN_CI" in (project.root / "build" / "ci" / "candidate.md").read_text(encoding="utf-8")


@pytest.mark.answers(data_source="own")
def test_a_project_without_a_table_is_skipped_with_the_reason(
    project: Project, call_mlp: Callable[..., Called]
) -> None:
    called = call_mlp(project, "ci", "train")
    assert called.code == 0
    assert "Not trained: no table is selected in conf/train.yaml yet" in called.out


def test_the_page_shows_the_weakest_slices_with_their_values_as_code() -> None:
    part = Slice(
        column="region", value="@north", rows=40, loss=0.5, interval=Interval(low=0.3, high=0.7), loss_elsewhere=0.1,
        expected_loss=None, p_value=0.001, adjusted_p_value=0.002, configured=False,
    )  # fmt: skip
    search = SliceSearch(loss="share wrong", overall=0.2, looked_at=9, smallest=30, found=[part], configured=[])
    found = Diagnostics(task="classification", target="churn", rows=100, slices=search)
    assert slice_lines(found) == [
        "### Weakest slices, of 9",
        "",
        "- `region = @north: 50% of 40 rows wrong, 10% elsewhere`",
        "",
    ]
    none = msgspec.structs.replace(found, slices=msgspec.structs.replace(search, found=[]))
    assert "None is worse than the rest by more than chance." in slice_lines(none)
    missing = msgspec.structs.replace(found, slices=None, not_computed={"slices": "too few rows"})
    assert "Not computed: too few rows." in slice_lines(missing)
    assert slice_lines(None) == []


def test_values_of_the_data_are_neither_markup_nor_mentions() -> None:
    assert code("name = a`b @team\n<b>") == "`name = a'b @team <b>`"
    assert escaped("<img> @team at 5 @ 6") == "&lt;img> @&#8203;team at 5 @ 6"
