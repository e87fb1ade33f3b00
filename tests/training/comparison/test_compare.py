"""A comparison fits every model on the same rows through the project's own code, records it, and registers nothing."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from platform_lib.errors import CheckFailed, NotFound, UsageError
from platform_lib.registry import open_registry
from platform_lib.registry.files import local_path
from platform_lib.settings import Project, Settings
from platform_lib.training.comparison.compare import compare, models_of
from platform_lib.training.comparison.result import Comparison
from tests.conftest import Called, copy_of


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    return copy_of(trained, tmp_path / "project")


def _compare(project: Project, *arguments: str) -> Comparison:
    return compare(project, Settings(), models_of(project, arguments))


def _edit(project: Project, module: str, old: str, new: str) -> None:
    path = project.root / "src" / project.package / f"{module}.py"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    for name in [name for name in sys.modules if name.startswith(project.package)]:
        del sys.modules[name]


def _runs(project: Project) -> tuple[Any, list[Any]]:
    client = open_registry(project, Settings()).client
    experiments = [client.get_experiment_by_name(project.name).experiment_id]
    (parent,) = client.search_runs(experiments, "tags.`mlp.kind` = 'compare'")
    return parent, client.search_runs(experiments, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")


def test_every_model_gets_the_scores_that_mlp_train_would_give_it_and_none_is_registered(project: Project) -> None:
    _edit(
        project, "pipeline", "    split =", '    __import__("mlflow").log_metric("table_rows", len(table))\n    split ='
    )
    registry = open_registry(project, Settings())

    result = _compare(project, "logistic", "forest")

    rows = {row.label: row for row in result.models}
    trained = registry.resolve("sample-model/1").metrics
    assert {name: scored.value for name, scored in rows["logistic"].metrics.items()} == trained
    assert [record.version for record in registry.versions(project.name)] == ["1"]
    assert (rows["forest"].model_bytes or 0) > (rows["logistic"].model_bytes or 0) > 10_000
    assert all((row.fit_seconds or 0) > 0 for row in result.models)


def test_the_runs_lie_below_one_that_holds_the_result(project: Project) -> None:
    _edit(
        project, "pipeline", "    split =", '    __import__("mlflow").log_metric("table_rows", len(table))\n    split ='
    )

    result = _compare(project, "logistic", "forest", "seed=3")

    parent, children = _runs(project)
    assert (parent.info.run_id, parent.info.status) == (result.run_id, "FINISHED")
    assert parent.data.tags["mlp.best_overrides"] == " ".join(result.best.overrides if result.best else ())
    location = local_path(parent.info.artifact_uri)
    assert location is not None
    assert json.loads((location / "comparison.json").read_text())["rows"] == result.rows == 55
    assert {run.info.run_id: run.info.status for run in children} == {row.run_id: "FINISHED" for row in result.models}
    for run in children:
        assert run.data.metrics["table_rows"] == 344
        assert {"balanced_accuracy", "fit_seconds", "model_bytes"} <= set(run.data.metrics)
        assert run.data.params["seed"] == "3"


def test_a_clearly_worse_model_is_told_from_the_best_and_an_equal_one_is_not(project: Project) -> None:
    for name, weight in (("twin", 1.0), ("weak", 0.00001)):
        text = (project.conf_dir / "model" / "logistic.yaml").read_text(encoding="utf-8")
        (project.conf_dir / "model" / f"{name}.yaml").write_text(text.replace("C: 1.0", f"C: {weight}"))

    result = _compare(project, "weak", "logistic", "twin")

    standings = {row.label: row.standing for row in result.models}
    assert standings == {"logistic": "best", "twin": "the same", "weak": "worse"}
    weak = result.models[-1]
    gain = weak.metrics["balanced_accuracy"].gain
    assert gain is not None
    assert gain[0] < gain[1] < -0.4
    assert any("below its threshold" in reason for reason in weak.below)


def test_a_model_that_fails_is_named_with_its_error_and_the_others_are_compared(
    project: Project, call_mlp: Callable[..., Called]
) -> None:
    _edit(
        project,
        "model",
        "    return ESTIMATORS",
        '    if model.name == "forest":\n        return ESTIMATORS["forest"](n_jobs="x")\n    return ESTIMATORS',
    )

    done = call_mlp(project, "compare", "forest", "logistic")

    assert done.code == 0
    assert "warning: forest could not be compared: fitting RandomForestClassifier failed: The 'n_jobs'" in done.err
    assert [line.split()[0] for line in done.out.splitlines()[1:3]] == ["model", "logistic"]
    _, children = _runs(project)
    assert {run.info.status for run in children} == {"FAILED", "FINISHED"}


def test_if_every_model_fails_the_comparison_fails_with_the_first_reason(project: Project) -> None:
    _edit(project, "features", "    return ", '    raise KeyError("colour")\n    return ')

    with pytest.raises(CheckFailed, match=r"none of the 2 models .* src/sample_model/features.py, line \d+, KeyError"):
        _compare(project, "logistic", "forest")

    parent, children = _runs(project)
    assert [run.info.status for run in (parent, *children)] == ["FAILED"] * 3


def test_an_interruption_ends_the_runs(project: Project) -> None:
    _edit(project, "features", "    return ", "    raise KeyboardInterrupt\n    return ")

    with pytest.raises(KeyboardInterrupt):
        _compare(project, "logistic", "forest")

    parent, children = _runs(project)
    assert [run.info.status for run in (parent, *children)] == ["KILLED"] * 2


def test_models_that_are_evaluated_on_other_rows_are_not_compared(project: Project) -> None:
    _edit(
        project,
        "pipeline",
        "    split =",
        '    table = table.iloc[50:] if config.model.name == "forest" else table\n    split =',
    )

    result = _compare(project, "logistic", "forest")

    assert [(row.label, bool(row.error)) for row in result.models] == [("logistic", False), ("forest", True)]
    assert "other rows than the first model, on 55: pipeline.py must load and split" in str(result.models[1].error)


def test_a_choice_that_cannot_be_built_is_left_out_unless_it_is_named(
    project: Project, call_mlp: Callable[..., Called], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.conf_dir / "model" / "magic.yaml").write_text("name: magic\n", encoding="utf-8")

    assert sorted(one.choice("model") for one in models_of(project, []).combinations) == [
        "boosting",
        "catboost",
        "forest",
        "lightgbm",
        "logistic",
        "xgboost",
    ]
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    assert "LightGBM is not installed" in models_of(project, []).left_out["lightgbm"]
    assert "'magic', expected one of" in models_of(project, []).left_out["magic"]
    done = call_mlp(project, "compare", "magic", "logistic")
    assert (done.code, "model.name is 'magic'" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (["logistic"], UsageError, "one model cannot be compared: name two or more, such as `mlp compare boosting"),
        (["logistic", "forst"], NotFound, "there is no model 'forst'.*Did you mean 'forest'"),
        (["data=a,b"], NotFound, "there is no data 'a'"),
        (["gate=default,default"], UsageError, "lists choices of gate"),
        (["logistic", "forest", "model.params.C=1"], UsageError, "no key 'model.params.C'"),
    ],
    ids=["one", "misspelt", "data", "gate", "key of one model"],
)
def test_what_cannot_be_compared_is_wrong_use(
    trained: Project, arguments: list[str], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        models_of(trained, arguments)


def test_a_model_with_other_rules_is_refused_before_anything_is_fitted(project: Project) -> None:
    path = project.conf_dir / "model" / "forest.yaml"
    text = "# @package _global_\nmodel:\n" + "".join(f"  {line}\n" for line in path.read_text().splitlines())
    path.write_text(f"{text}split:\n  salt: other\n", encoding="utf-8")

    with pytest.raises(UsageError, match="forest has other settings of split than logistic"):
        _compare(project, "logistic", "forest")


@pytest.mark.slow
def test_the_command_prints_one_table_and_what_to_do_next(project: Project, call_mlp: Callable[..., Called]) -> None:
    done = call_mlp(project, "compare", "logistic", "forest", "seed=2")
    lines = done.out.splitlines()
    assert lines[0] == "On 55 held-out rows of sample, fitted on 289; the best first:"
    assert lines[1].split("  ")[0] == "model"
    assert {line.split()[0] for line in lines[2:4]} == {"forest", "logistic"}
    best = lines[2].split()[0]
    assert f"  mlp train model={best} seed=2  " in done.out
    assert f"  mlp sweep model={best} seed=2  " in done.out

    said = json.loads(call_mlp(project, "compare", "logistic", "forest", "seed=2", "--json").out)

    assert said["best"] == best
    assert [row["choices"]["model"] for row in said["models"]] == [line.split()[0] for line in lines[2:4]]
    assert said["next"][0]["command"] == f"mlp train model={best} seed=2"
    assert float(lines[2].split()[1]) == pytest.approx(
        said["models"][0]["metrics"]["balanced_accuracy"]["value"], abs=1e-4
    )
