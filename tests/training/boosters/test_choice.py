"""Projects train LightGBM, XGBoost and CatBoost by `model=…`, and what is missing is said in one sentence."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from platform_lib.boosters.libraries import LIBRARIES
from platform_lib.data.dataset import load_dataset
from platform_lib.errors import UsageError
from platform_lib.names import ArtifactFile
from platform_lib.registry import open_registry
from platform_lib.registry.loading import load_model
from platform_lib.settings import Project, Settings
from platform_lib.training.boosters.choice import boosted_trees, boosters_in
from platform_lib.training.boosters.inner_rows import row_order
from platform_lib.training.config.compose import compose
from platform_lib.training.run import train
from platform_lib.training.search.search import candidates, search
from platform_lib.training.steps import fit_pipeline, split_rows
from platform_lib.user_code import import_user_module

FEW = ("model.params.n_estimators=30", "gate.delta=1")


@pytest.fixture(scope="module", params=["classification", "regression"])
def generated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, generate: Any) -> Project:
    project: Project = generate(tmp_path_factory.mktemp(request.param) / "project", task=request.param)
    return project


@pytest.fixture(autouse=True)
def _inside(generated: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(generated.root)


def _fitted(project: Project, *overrides: str) -> Any:
    config = compose(project, overrides).config
    split = split_rows(load_dataset(project, config.data), config)
    features = import_user_module(project, "features").build_features(config)
    model = import_user_module(project, "model").build_model(config)
    return fit_pipeline(features, model, split, config), split, config


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_trained_model_is_stored_and_answers_the_same(generated: Project, library: str) -> None:
    said: list[str] = []

    def progress(text: str) -> Any:
        from contextlib import nullcontext

        said.append(text)
        return nullcontext()

    result = train(generated, Settings(), [f"model={library}", *FEW], progress=progress)

    assert result.passed
    title = LIBRARIES[library].title
    assert any(text.startswith(title) and "trees of at most 30, by early stopping on" in text for text in said)
    registry = open_registry(generated, Settings())
    record = registry.resolve(f"{result.name}/{result.version}")
    requirements = (registry.folder(record) / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in requirements if line.partition("==")[0] in LIBRARIES[library].distributions]
    assert (registry.folder(record) / ArtifactFile.MODEL).is_file()
    fitted, split, _ = _fitted(generated, f"model={library}", *FEW)
    loaded = load_model(f"{result.name}/{result.version}", project=generated)
    expected = fitted.predict(split.test.frame)
    assert loaded.predict(split.table[split.held_out]).values.tolist() == expected.tolist()


@pytest.mark.parametrize("library", LIBRARIES)
def test_held_out_rows_do_not_decide_when_to_stop(generated: Project, library: str) -> None:
    """With other targets in the held-out rows, the model is the same."""
    config = compose(generated, [f"model={library}", *FEW]).config
    table = load_dataset(generated, config.data)
    split = split_rows(table, config)
    other = table.copy()
    target = config.data.target
    other.loc[split.held_out, target] = table[target].iloc[0]

    answers = []
    for rows in (table, other):
        features = import_user_module(generated, "features").build_features(config)
        fitted = fit_pipeline(features, boosted_trees(config), split_rows(rows, config), config)
        answers.append((fitted[-1].n_trees_, fitted.predict(split.test.frame).tolist()))
    assert answers[0] == answers[1]


def test_a_library_that_is_missing_is_named_with_the_command(
    generated: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    config = compose(generated, ["model=lightgbm"]).config
    with pytest.raises(UsageError, match=r"LightGBM is not installed: run `uv add 'lightgbm>=4\.\d+'`, and commit"):
        boosted_trees(config)


def test_the_command_is_that_of_the_projects_manager(generated: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    lock = generated.root / "uv.lock"
    content = lock.read_text(encoding="utf-8")
    lock.rename(generated.root / "pdm.lock")
    try:
        with pytest.raises(UsageError, match=r"run `pdm add 'xgboost-cpu>=3"):
            boosted_trees(compose(generated, ["model=xgboost"]).config)
    finally:
        (generated.root / "pdm.lock").unlink()
        lock.write_text(content, encoding="utf-8")


def test_the_order_of_inner_rows_follows_the_split(generated: Project) -> None:
    config = compose(generated, []).config
    table = load_dataset(generated, config.data)
    orders = [row_order(rows, config) for rows in (table, table.iloc[::-1])]
    np.testing.assert_array_equal(orders[0], orders[1][::-1])
    column = next(name for name in config.data.features if config.data.columns[name].type == "string")
    grouped = compose(generated, ["split=group", f"split.column={column}"]).config
    values = table[column].astype(str)
    assert len(set(row_order(table, grouped).tolist())) == values.nunique()


def test_boosters_are_found_inside_of_other_estimators(generated: Project) -> None:
    booster = boosted_trees(compose(generated, ["model=catboost"]).config)
    assert boosters_in(make_pipeline(CalibratedClassifierCV(booster))) == [booster]
    assert boosters_in(make_pipeline(LogisticRegression())) == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_sweep_tries_parameters_of_the_library(generated: Project, library: str) -> None:
    few = ["model.params.n_estimators=10", "search.folds=2", f"model={library}"]
    found = search(generated, candidates(generated, few), trials=2)
    assert [trial.error for trial in found.trials] == [None, None]
    assert set(found.trials[0].params) == set(compose(generated, few).config.search.space[library])


def test_a_threshold_and_class_weights_apply(tmp_path: Path, generate: Callable[..., Project]) -> None:
    project = generate(tmp_path / "project")
    config = compose(project, ["model=lightgbm", *FEW, "model.class_weight=balanced"]).config
    assert boosted_trees(config).class_weight == "balanced"
