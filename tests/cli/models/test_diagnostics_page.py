"""`mlp train` and `mlp models show` say where a model errs, and on which rows."""

import json
from collections.abc import Callable

import pytest

from platform_lib.settings import Project, Settings
from platform_lib.training.run import train
from tests.conftest import Called, copy_of


@pytest.fixture(scope="module")
def project(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three versions, the last one without diagnostics."""
    project = copy_of(trained, tmp_path_factory.mktemp("diagnostics") / "project")
    train(project, Settings(), ("model=forest", "model.params.n_estimators=5", "gate.delta=1"))
    train(project, Settings(), ("diagnostics=off", "gate.delta=1"))
    return project


def test_show_with_rows_prints_the_worst_rows_with_their_values(
    project: Project, call_mlp: Callable[..., Called], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    done = call_mlp(project, "models", "show", "1", "--rows")

    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[1] == "Largest errors among 55 held-out rows"
    rows = [line for line in lines if line[:1].isdigit() and "like this" not in line]
    assert max(len(line) for line in rows) <= 80
    shown = json.loads(call_mlp(project, "models", "show", "1", "--json").out)["diagnostics"]
    assert [line.split()[0] for line in rows[:2]] == [str(row["table_row"]) for row in shown["worst_rows"][:2]]


def test_show_prints_features_and_slices(project: Project, call_mlp: Callable[..., Called]) -> None:
    out = call_mlp(project, "models", "show", "2").out

    assert "Features: how much worse the metric gets when one is shuffled" in out
    assert "bill_length_mm" in out


def test_without_diagnostics_rows_are_refused_and_the_rest_is_shown(
    project: Project, call_mlp: Callable[..., Called]
) -> None:
    rows, page = call_mlp(project, "models", "show", "3", "--rows"), call_mlp(project, "models", "show", "3")

    assert rows.code == 2
    assert "version 3 has no diagnostics: it was trained with diagnostics=off" in rows.err
    assert page.code == 0
    assert "Features:" not in page.out
    assert json.loads(call_mlp(project, "models", "show", "3", "--json").out)["diagnostics"] is None


def test_train_prints_where_to_look(project: Project, call_mlp: Callable[..., Called]) -> None:
    done = call_mlp(project, "train", "gate.delta=1")

    assert done.code == 0
    assert "Strongest features, by how much worse log_loss gets without them: bill_length_mm (" in done.out
    assert "mlp models show sample-model/4 --rows  where it errs, and on which rows" in done.out
