"""A training run is tracked, deterministic, and leaves nothing half-finished however it ends."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from platform_lib.errors import CheckFailed, UsageError
from platform_lib.names import VersionTag
from platform_lib.registry import Registry, open_registry
from platform_lib.registry.files import local_path
from platform_lib.settings import Project, Settings
from platform_lib.training.plan import TrainingRequest, prepare
from platform_lib.training.run import train
from platform_lib.training.steps import TrainingResult
from platform_lib.training.tracking import REASON_TAG, close_abandoned_runs, read_evaluation
from tests.conftest import commit_all, copy_of


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """A project with one champion that tests may change."""
    return copy_of(trained, tmp_path / "project")


@pytest.fixture
def registry(project: Project) -> Registry:
    return open_registry(project, Settings())


def _train(project: Project, *overrides: str, **options: Any) -> TrainingResult:
    return train(project, Settings(), overrides, **options)


def _runs(registry: Registry, status: str) -> list[Any]:
    experiments = [experiment.experiment_id for experiment in registry.client.search_experiments()]
    return list(registry.client.search_runs(experiments, f"attributes.status = '{status}'"))


def _append(file: Path, text: str) -> None:
    with file.open("a", encoding="utf-8") as opened:
        opened.write(text)


class TestResult:
    def test_the_same_inputs_give_the_same_metrics(self, trained: Project, project: Project) -> None:
        first = open_registry(trained, Settings()).resolve("sample-model/1").metrics

        assert _train(project).evaluation.metrics == first

    def test_a_random_estimator_gives_the_same_metrics_for_the_same_seed(self, project: Project) -> None:
        overrides = ("model=forest", "model.params.n_estimators=5", "gate.delta=1")

        results = [_train(project, *overrides).evaluation.metrics for _ in range(2)]

        assert results[0] == results[1]

    def test_a_passing_model_becomes_champion_at_once_on_a_local_registry(
        self, project: Project, registry: Registry
    ) -> None:
        result = _train(project)

        assert (result.passed, result.promoted, result.champion_before) == (True, True, "1")
        assert registry.resolve("sample-model/2").aliases == ("candidate", "champion")
        assert registry.resolve("sample-model/1").aliases == ("previous",)

    def test_with_no_promote_a_passing_model_stays_a_candidate(self, project: Project, registry: Registry) -> None:
        result = _train(project, promote=False)

        assert (result.passed, result.promoted) == (True, False)
        assert registry.resolve("sample-model/2").aliases == ("candidate",)
        assert registry.resolve("sample-model@champion").version == "1"

    def test_a_refused_model_is_registered_with_the_reasons_and_no_alias(
        self, project: Project, registry: Registry
    ) -> None:
        result = _train(project, "model.params.C=0.00001")

        record = registry.resolve(f"sample-model/{result.version}")
        assert (result.passed, record.aliases) == (False, ())
        assert record.verdict is not None
        assert record.verdict["reasons"] == result.verdict.reasons
        assert any("the champion, version 1" in reason for reason in result.verdict.reasons)
        assert registry.resolve("sample-model@champion").version == "1"

    def test_a_gradual_decline_below_the_best_promoted_score_is_refused(
        self, project: Project, registry: Registry
    ) -> None:
        """Champion and candidate are equally bad, but a version before them was promoted with a better score."""
        worse = ("model.params.C=0.00001", "gate.thresholds.balanced_accuracy=0")
        _train(project, *worse, new_baseline=True)
        champion = registry.resolve("sample-model@champion")

        result = _train(project, *worse)

        assert champion.version == "2"
        assert not result.passed
        assert ["best ever promoted" in reason for reason in result.verdict.reasons] == [True]

    def test_regression_trains_and_registers_too(self, trained_regression: Project) -> None:
        record = open_registry(trained_regression, Settings()).resolve("sample-model@champion")

        assert record.metrics["r2"] > 0.3


class TestRecord:
    def test_the_run_records_configuration_data_metrics_and_evaluation(self, trained: Project) -> None:
        registry = open_registry(trained, Settings())
        record = registry.resolve("sample-model@champion")

        run = registry.client.get_run(record.run_id)

        assert run.info.status == "FINISHED"
        assert run.data.params["model.name"] == "logistic"
        assert run.data.params["choice.model"] == "logistic"
        assert [item.dataset.digest for item in run.inputs.dataset_inputs] == [record.tags[VersionTag.DATA_HASH]]
        evaluation = read_evaluation(registry, record.run_id)
        assert evaluation is not None
        assert evaluation["metrics"] == run.data.metrics

    def test_the_version_records_its_lineage_and_the_verdict(self, trained: Project) -> None:
        record = open_registry(trained, Settings()).resolve("sample-model@champion")

        named = {value for name, value in vars(VersionTag).items() if name.isupper()}
        expected = named - {
            VersionTag.FLOW_RUN,
            VersionTag.NEW_BASELINE,
            *(
                tag
                for tag in named
                if tag.startswith(("mlp.forced", "mlp.promoted_by", "mlp.promoted_at", "mlp.retrain"))
            ),
            VersionTag.LOGGED_ROWS,
            VersionTag.PERCENT,
            VersionTag.CANARY_SINCE,
        }
        assert {tag for tag in record.tags if tag in named} == expected
        assert json.loads(record.tags[VersionTag.PROMOTED_SCORE])["target"] == "species"

    def test_uncommitted_changes_are_registered_locally_and_tagged(self, project: Project, registry: Registry) -> None:
        _append(project.conf_dir / "train.yaml", "\n# a thought\n")

        result = _train(project)

        assert registry.resolve(f"sample-model/{result.version}").tags[VersionTag.DIRTY] == "true"

    def test_a_custom_step_can_log_to_the_run(self, project: Project, registry: Registry) -> None:
        pipeline = project.root / "src" / "sample_model" / "pipeline.py"
        text = pipeline.read_text(encoding="utf-8")
        pipeline.write_text(
            text.replace("    split =", "    import mlflow\n\n    mlflow.log_metric('mine', 42)\n    split ="),
            encoding="utf-8",
        )
        _forget_user_code()

        result = _train(project)
        _forget_user_code()

        assert registry.resolve(f"sample-model/{result.version}").metrics["mine"] == 42.0

    def test_training_does_not_change_the_environment(self, project: Project) -> None:
        before = dict(os.environ)

        _train(project)

        assert {name: value for name, value in os.environ.items() if name.endswith("_URI")} == {
            n: v for n, v in before.items() if n.endswith("_URI")
        }


def _forget_user_code() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "sample_model"]:
        del sys.modules[name]


class TestNewSchema:
    def _widen(self, project: Project) -> None:
        """Replace the sample with a table that lacks a feature."""
        import pandas as pd
        import yaml

        contract = project.conf_dir / "data" / "sample.yaml"
        values = yaml.safe_load(contract.read_text(encoding="utf-8"))
        del values["columns"]["island"]
        values["key"].remove("island")
        contract.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        table = project.data_dir / "sample.csv"
        pd.read_csv(table).drop(columns="island").to_csv(table, index=False)
        commit_all(project.root)

    def test_a_champion_that_cannot_be_scored_refuses_with_a_remedy(self, project: Project) -> None:
        self._widen(project)

        result = _train(project)

        assert not result.passed
        assert (
            "the champion, version 1, cannot be scored on these rows: the table lacks the column 'island'"
            in result.verdict.reasons[-1]
        )
        assert result.verdict.reasons[-1].endswith("`mlp train --new-baseline` lets the thresholds alone decide")

    def test_a_new_baseline_is_judged_by_thresholds_alone_and_tagged(
        self, project: Project, registry: Registry
    ) -> None:
        self._widen(project)

        result = _train(project, new_baseline=True)

        assert result.promoted
        assert registry.resolve("sample-model@champion").tags[VersionTag.NEW_BASELINE] == "1"


class TestRefusedBeforehand:
    @pytest.mark.parametrize("missing", ["lock", "commit"])
    def test_without_a_lock_or_a_commit_no_run_is_created(
        self, project: Project, registry: Registry, missing: str
    ) -> None:
        import shutil

        before = len(_runs(registry, "FINISHED") + _runs(registry, "FAILED"))
        if missing == "lock":
            (project.root / "uv.lock").unlink()
        else:
            shutil.rmtree(project.root / ".git")

        with pytest.raises(CheckFailed):
            _train(project)

        assert len(_runs(registry, "FINISHED") + _runs(registry, "FAILED")) == before

    def test_a_dirty_tree_is_refused_on_a_shared_registry_unless_allowed(
        self, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("platform_lib.training.plan.is_local_registry", lambda project, uri: False)
        _append(project.conf_dir / "train.yaml", "\n")

        with pytest.raises(CheckFailed, match=r"conf/train\.yaml\. .* is shared.*--allow-dirty"):
            prepare(project, Settings(), TrainingRequest())

        assert prepare(project, Settings(), TrainingRequest(allow_dirty=True)).origin.dirty

    def test_a_shared_registry_takes_no_model_without_owner_and_intended_use(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        card = project.conf_dir / "card.yaml"
        card.write_text("limits: none\n", encoding="utf-8")
        assert prepare(project, Settings(), TrainingRequest()).card.limits == "none"  # one's own registry takes it
        monkeypatch.setattr("platform_lib.training.plan.is_local_registry", lambda project, uri: False)

        with pytest.raises(
            CheckFailed, match=r"^conf/card\.yaml has no owner and no intended_use\. sqlite.* is shared"
        ):
            prepare(project, Settings(), TrainingRequest(allow_dirty=True))

        assert prepare(project, Settings(), TrainingRequest(allow_dirty=True, registers=False)).card.limits == "none"
        card.write_text("owner: a\nintended_use: b\n", encoding="utf-8")
        assert prepare(project, Settings(), TrainingRequest(allow_dirty=True)).card.owner == "a"


class TestFailures:
    def test_a_step_that_raises_fails_the_run_with_its_reason_and_registers_nothing(
        self, project: Project, registry: Registry
    ) -> None:
        with pytest.raises(UsageError):
            _train(project, "model.params.C=-1")

        (run,) = _runs(registry, "FAILED")
        assert "'C' parameter" in run.data.tags[REASON_TAG]
        assert [record.version for record in registry.versions("sample-model")] == ["1"]

    def test_a_message_that_may_quote_private_values_is_not_kept(self, project: Project, registry: Registry) -> None:
        import mlflow.artifacts

        contract = project.conf_dir / "data" / "sample.yaml"
        text = contract.read_text(encoding="utf-8")
        contract.write_text(text.replace("  island:\n", "  island:\n    log: false\n"), encoding="utf-8")
        features = project.root / "src" / "sample_model" / "features.py"
        features.write_text("def build_features(config):\n    raise KeyError('Biscoe'.upper())\n", encoding="utf-8")
        with pytest.raises(KeyError, match="BISCOE"):
            _train(project)

        (run,) = _runs(registry, "FAILED")
        trace = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/error.txt")
        assert "features.py" in trace
        for kept in (run.data.tags[REASON_TAG], trace):
            assert "BISCOE" not in kept and "MLP_DEBUG=1" in kept

    def test_ctrl_c_marks_the_run_as_killed(
        self, project: Project, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*args: Any, **named: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("platform_lib.training.run.fit_pipeline", interrupted)

        with pytest.raises(KeyboardInterrupt):
            _train(project)

        assert [run.data.tags[REASON_TAG] for run in _runs(registry, "KILLED")] == ["stopped by Ctrl-C or a signal"]
        assert _runs(registry, "RUNNING") == []

    def test_a_pipeline_that_returns_nothing_is_reported_in_one_sentence(
        self, project: Project, registry: Registry
    ) -> None:
        pipeline = project.root / "src" / "sample_model" / "pipeline.py"
        pipeline.write_text("def train(config, steps):\n    steps.load(config)\n", encoding="utf-8")
        _forget_user_code()

        with pytest.raises(CheckFailed, match=r"train\(\) in pipeline.py returned NoneType"):
            _train(project)

        _forget_user_code()
        assert len(_runs(registry, "FAILED")) == 1

    @pytest.mark.parametrize(
        "tags",
        [{"mlp.pid": "999999999", "mlp.process_started": "1.0"}, {"mlp.pid": "self", "mlp.process_started": "1.0"}],
    )
    def test_runs_of_dead_processes_are_closed_and_their_unfinished_models_removed(
        self, registry: Registry, tags: dict[str, str]
    ) -> None:
        import socket

        tags = {**tags, "mlp.host": socket.gethostname(), "mlp.pid": tags["mlp.pid"].replace("self", str(os.getpid()))}
        experiment = registry.client.get_experiment_by_name("sample-model").experiment_id
        abandoned = registry.client.create_run(experiment, tags=tags)
        elsewhere = registry.client.create_run(experiment, tags=tags | {"mlp.host": "another-machine"})

        dead, alive = (
            registry.client.create_logged_model(experiment, name="sample-model", source_run_id=run.info.run_id)
            for run in (abandoned, elsewhere)
        )
        folder = local_path(dead.artifact_location)
        assert folder is not None
        folder.mkdir(parents=True)
        (folder / "half").write_text("a model", encoding="utf-8")

        assert close_abandoned_runs(registry, "sample-model") == 1
        left = {model.model_id for model in registry.client.search_logged_models([experiment], max_results=100)}
        assert (alive.model_id in left, dead.model_id in left) == (True, False)
        assert not folder.parent.exists()
        assert [run.info.run_id for run in _runs(registry, "RUNNING")] == [elsewhere.info.run_id]
