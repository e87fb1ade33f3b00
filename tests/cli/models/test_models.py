"""`mlp models` lists, shows and compares versions, as tables or as JSON."""

import json
from collections.abc import Callable

import pytest

from platform_lib.settings import Project, Settings
from platform_lib.training.run import train
from tests.conftest import Called, copy_of


@pytest.fixture(scope="module")
def project(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two versions: a logistic regression, then a forest with slices."""
    project = copy_of(trained, tmp_path_factory.mktemp("models") / "project")
    train(project, Settings(), ("model=forest", "model.params.n_estimators=5", "slices=[island]", "gate.delta=1"))
    return project


def test_versions_are_listed_newest_first(project: Project, call_mlp: Callable[..., Called]) -> None:
    listed = json.loads(call_mlp(project, "models", "--json").out)

    assert [(item["version"], item["aliases"]) for item in listed] == [
        ("2", ["candidate", "champion"]),
        ("1", ["previous"]),
    ]
    assert listed[1]["metrics"]["accuracy"] == pytest.approx(0.964, abs=1e-3)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_fits_its_width(
    project: Project, call_mlp: Callable[..., Called], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))

    lines = call_mlp(project, "models").out.splitlines()

    assert max(len(line) for line in lines) <= columns
    assert all(line == line.rstrip() for line in lines)


def test_an_empty_registry_says_how_to_fill_it(
    tmp_path_factory: pytest.TempPathFactory, generate: Callable[..., Project], call_mlp: Callable[..., Called]
) -> None:
    done = call_mlp(generate(tmp_path_factory.mktemp("empty") / "project"), "models")

    assert (done.code, done.out.endswith("has no version of sample-model yet. `mlp train` registers the first.\n")) == (
        0,
        True,
    )


def test_show_prints_metrics_confusion_slices_verdict_contract_and_lineage(
    project: Project, call_mlp: Callable[..., Called]
) -> None:
    out = call_mlp(project, "models", "show").out

    for part in (
        "sample-model version 2",
        "Gate: passed",
        "Metrics on 55 held-out rows",
        "Confusion matrix",
        "Slices",
        "Model card\nowner         tests\nintended use  Tests the library.\nlimits        –",
        "Contract of sample",
        "Lineage",
    ):
        assert part in out
    assert "species            target; string; Adelie, Chinstrap, Gentoo" in out


def test_show_prints_the_residuals_of_a_regression_instead_of_a_matrix(
    trained_regression: Project, call_mlp: Callable[..., Called]
) -> None:
    out = call_mlp(trained_regression, "models", "show").out

    assert ("Errors: predicted − actual" in out, "Confusion" in out) == (True, False)


def test_show_as_json_contains_the_same(project: Project, call_mlp: Callable[..., Called]) -> None:
    shown = json.loads(call_mlp(project, "models", "show", "1", "--json").out)

    assert (shown["version"], shown["config"]["model"]["name"], shown["contract"]["target"]) == (
        "1",
        "logistic",
        "species",
    )
    assert shown["card"]["intended_use"] == "Tests the library."
    assert sum(map(sum, shown["evaluation"]["confusion"]["counts"])) == 55


def test_diff_names_the_differences_of_two_versions(project: Project, call_mlp: Callable[..., Called]) -> None:
    found = json.loads(call_mlp(project, "models", "diff", "1", "@champion", "--json").out)

    assert (found["one"], found["other"]) == ("sample-model/1", "sample-model/2")
    assert found["config"]["model.name"] == ["logistic", "forest"]
    assert found["columns"] == {}
    assert list(found["lineage"]) == ["configuration (SHA-256)"]


def test_diff_as_text_says_what_is_the_same(project: Project, call_mlp: Callable[..., Called]) -> None:
    out = call_mlp(project, "models", "diff", "1", "2").out

    assert "Columns: the same" in out
    assert "model.name" in out


def test_a_version_that_does_not_exist_exits_2(project: Project, call_mlp: Callable[..., Called]) -> None:
    done = call_mlp(project, "models", "show", "9")

    assert (done.code, "has no version 9" in done.err) == (2, True)
