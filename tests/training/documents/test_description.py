"""What MLflow shows of a run and of a version: names, verdict, estimator, description."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from mlflow.entities import Run
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from platform_lib.model.card import ModelCard
from platform_lib.registry import Registry, open_registry
from platform_lib.registry.client import run_page
from platform_lib.settings import Project, Settings
from platform_lib.training.documents.description import describe, estimator_name
from platform_lib.training.run import train
from platform_lib.training.steps import TrainingResult
from tests.conftest import copy_of

REFUSED = ("model=forest", "model.params.n_estimators=5", "gate.thresholds.balanced_accuracy=1.1")


def run_of(registry: Registry, version: str) -> Run:
    return registry.client.get_run(registry.resolve(f"sample-model/{version}").run_id)


@pytest.fixture(scope="module")
def project(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A champion, and a forest that the gate refused."""
    return copy_of(trained, tmp_path_factory.mktemp("run-page") / "project")


@pytest.fixture(scope="module")
def refused(project: Project) -> TrainingResult:
    return train(project, Settings(), REFUSED)


@pytest.fixture(scope="module")
def registry(project: Project, refused: TrainingResult) -> Registry:
    return open_registry(project, Settings())


def test_the_list_of_runs_tells_model_table_and_verdict(registry: Registry) -> None:
    runs = [run_of(registry, version) for version in ("1", "2")]

    assert [run.info.run_name for run in runs] == ["logistic on sample", "forest on sample (refused)"]
    assert [run.data.tags["mlp.verdict"] for run in runs] == ["passed", "refused"]
    assert [run.data.tags["mlp.version"] for run in runs] == ["1", "2"]


def test_run_and_version_have_the_same_description_with_verdict_and_metrics(
    registry: Registry, refused: TrainingResult
) -> None:
    run = run_of(registry, "2")
    note = run.data.tags["mlflow.note.content"]

    assert note == registry.client.get_model_version("sample-model", "2").description
    page = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts/report.html"
    assert note == f"{refused.description}\n\n[Report]({page}?workflowType=machine_learning)"
    assert "**RandomForestClassifier** (`forest`) predicts `species` of the table `sample`." in note
    assert "**Gate: refused**" in note
    assert f"- {refused.verdict.reasons[0]}" in note
    assert "**Model card**\n- owner: tests\n- intended use: Tests the library.\n- limits: –" in note
    assert f"| accuracy | {refused.evaluation.metrics['accuracy']:.4f} |" in note


def test_a_version_says_which_estimator_it_is(registry: Registry) -> None:
    tags = [registry.resolve(f"sample-model/{version}").tags for version in ("1", "2")]

    assert [(each["mlp.model"], each["mlp.estimator"]) for each in tags] == [
        ("logistic", "LogisticRegression"),
        ("forest", "RandomForestClassifier"),
    ]


def test_a_store_in_a_file_has_no_page(registry: Registry, refused: TrainingResult) -> None:
    assert (refused.page, run_page(registry.backend, registry.uri, refused.run_id)) == (None, None)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (LogisticRegression(), "LogisticRegression"),
        (FixedThresholdClassifier(LogisticRegression()), "FixedThresholdClassifier(LogisticRegression)"),
        (BaggingClassifier(AdaBoostClassifier()), "BaggingClassifier(AdaBoostClassifier)"),
    ],
)
def test_estimators_within_estimators_are_named(model: object, name: str) -> None:
    assert estimator_name(make_pipeline(StandardScaler(), model)) == name
    assert estimator_name(model) == name


def test_a_description_fits_mlflow_and_shows_marks_of_html_as_text(refused: TrainingResult) -> None:
    verdict = refused.verdict.__class__(
        **{field: getattr(refused.verdict, field) for field in refused.verdict.__struct_fields__}
        | {"reasons": ["<script>alert(1)</script> for 1 < 2"] * 200}
    )
    config = SimpleNamespace(model=SimpleNamespace(name="a"), data=SimpleNamespace(name="b", target="c"))

    said = describe(DummyClassifier(), config, refused.evaluation, verdict, ModelCard())  # type: ignore[arg-type]

    assert len(said) <= 5000
    assert "- &lt;script>alert(1)&lt;/script> for 1 < 2" in said
    assert "<script" not in said


def test_models_lists_the_choice_of_each_version(
    project: Project, registry: Registry, call_mlp: Callable[..., SimpleNamespace]
) -> None:
    lines = call_mlp(project, "models").out.splitlines()

    assert [line.split()[:2] for line in lines[1:3]] == [["2", "forest"], ["1", "logistic"]]
    assert "LogisticRegression (logistic); candidate, champion" in call_mlp(project, "models", "show").out
