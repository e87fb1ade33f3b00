"""Training and held-out rows stay apart; candidate and champion are scored on the same rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.frame import feature_frame
from platform_lib.errors import CheckFailed, UsageError
from platform_lib.model.artifact import LoadedModel
from platform_lib.settings import Project
from platform_lib.training import steps
from platform_lib.training.config.schema import GateConfig, ModelConfig, SplitConfig, TrainConfig
from platform_lib.training.reproduce_child import untracked_steps
from platform_lib.training.steps import Split, evaluate_held_out, fit_pipeline, judge_candidate, split_rows
from tests.training.mutants import Mutant, red_tests, still_green

CONTRACT = DataContract(
    name="tiny",
    path="data/tiny.csv",
    task="classification",
    target="y",
    id="id",
    columns={"id": Column(type="integer"), "x": Column(type="number"), "y": Column(type="string")},
)


def _config(**changes: Any) -> TrainConfig:
    gate = GateConfig(metric="accuracy", thresholds={"accuracy": 0.5}, delta=0.01, bootstrap_samples=200)
    return TrainConfig(
        **{"data": CONTRACT, "model": ModelConfig(name="known"), "gate": gate, "split": SplitConfig(test_share=0.3)}
        | changes
    )


def _table(rows: int = 400) -> pd.DataFrame:
    numbers = np.arange(rows)
    return pd.DataFrame(
        {
            "id": numbers,
            "x": (numbers % 10).astype(float),
            "y": np.where(numbers % 10 >= 5, "high", "low").astype(object),
        }
    )


class Sometimes(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Predict `high` from `limit` on; remembers the rows it was fitted on.

    A limit of 5 is always right; others err on a known share of the rows.
    """

    def __init__(self, limit: float = 5.0) -> None:
        self.limit = limit

    def fit(self, x: Any, y: Any) -> "Sometimes":
        self.classes_ = np.array(["high", "low"], dtype=object)
        self.seen_ = np.asarray(x).ravel().copy()
        return self

    def predict(self, x: Any) -> Any:
        return np.where(np.asarray(x, dtype=float)[:, 0] >= self.limit, "high", "low").astype(object)

    def predict_proba(self, x: Any) -> Any:
        high = (self.predict(x) == "high").astype(float)
        return np.column_stack([high, 1 - high])


def _pipeline(limit: float) -> Pipeline:
    frame = feature_frame(_table(), CONTRACT)
    return Pipeline([("features", FunctionTransformer()), ("model", Sometimes(limit))]).fit(frame, _table()["y"])


def _champion(limit: float, contract: DataContract = CONTRACT) -> LoadedModel:
    return LoadedModel(name="tiny", version="7", pipeline=_pipeline(limit), contract=contract, sha256="0")


class TestSplit:
    def test_each_row_is_either_for_training_or_held_out(self) -> None:
        split = split_rows(_table(), _config())

        assert len(split.train) + len(split.test) == 400
        assert set(split.train.frame.index).isdisjoint(split.test.frame.index)
        assert list(split.table.index[split.held_out]) == list(split.test.frame.index)

    def test_the_held_out_share_is_the_configured_one(self) -> None:
        assert 0.2 < len(split_rows(_table(), _config()).test) / 400 < 0.4

    def test_target_and_id_are_not_features(self) -> None:
        assert list(split_rows(_table(), _config()).train.frame.columns) == ["x"]


class TestFit:
    def test_only_training_rows_reach_features_and_model(self) -> None:
        split = split_rows(_table().assign(x=np.arange(400.0)), _config())
        seen: list[int] = []

        class Watching(FunctionTransformer):  # type: ignore[misc]
            def fit(self, x: Any, y: Any = None) -> "Watching":
                seen.extend(np.asarray(x)[:, 0].astype(int).tolist())
                super().fit(x, y)
                return self

        pipeline = fit_pipeline(Watching(), Sometimes(), split, _config())

        trained = sorted(split.train.frame.index.tolist())
        assert sorted(set(seen)) == trained
        assert sorted(pipeline[-1].seen_.astype(int).tolist()) == trained

    def test_a_single_class_is_refused_by_name(self) -> None:
        split = split_rows(_table().assign(y="low"), _config())

        with pytest.raises(CheckFailed, match=r"all \d+ training rows have y = 'low'"):
            fit_pipeline(FunctionTransformer(), Sometimes(), split, _config())

    def test_parameters_that_the_estimator_refuses_are_reported_in_one_sentence(self) -> None:
        split = split_rows(_table(), _config())

        with pytest.raises(UsageError, match=r"fitting LogisticRegression failed: .*'C' parameter.*Look at conf/model"):
            fit_pipeline(FunctionTransformer(), LogisticRegression(C=-1), split, _config())


def test_evaluation_uses_only_held_out_rows() -> None:
    table = _table()
    split = split_rows(table, _config())
    truth = split.train.truth.copy()
    truth[:] = np.where(truth == "high", "low", "high")
    lying = Split(
        table=table,
        held_out=split.held_out,
        train=type(split.train)(frame=split.train.frame, truth=truth),
        test=split.test,
    )

    evaluation = evaluate_held_out(_pipeline(5), lying, _config())

    assert evaluation.rows == len(split.test)
    assert evaluation.metrics["accuracy"] == 1.0


class TestGate:
    def _judge(
        self,
        candidate: float,
        champion: float | None,
        best: float | None = None,
        table: pd.DataFrame | None = None,
        **changes: Any,
    ) -> Any:
        config = _config(**changes)
        split = split_rows(_table() if table is None else table, config)
        loaded = None if champion is None else _champion(champion)
        return judge_candidate(_pipeline(candidate), split, config, champion=loaded, best_promoted=best)

    def test_candidate_and_champion_are_scored_on_the_same_held_out_rows(self) -> None:
        split = split_rows(_table(), _config())
        wrong_below_5 = float(np.mean(split.test.frame["x"] == 4))

        verdict = self._judge(candidate=5, champion=4)

        assert (verdict.score, verdict.champion_score) == (1.0, pytest.approx(1 - wrong_below_5))
        assert verdict.champion_version == "7"
        assert verdict.rows == len(split.test)

    def test_a_worse_candidate_is_refused_and_a_better_one_passes(self) -> None:
        assert (self._judge(candidate=4, champion=5).passed, self._judge(candidate=5, champion=4).passed) == (
            False,
            True,
        )

    def test_the_champion_is_scored_again_and_its_stored_score_is_not_used(self) -> None:
        """The rows have changed since the champion was promoted with a score of 1.0.

        That score would refuse every candidate.
        """
        flipped = _table()
        flipped["y"] = np.where(flipped["x"] >= 4, "high", "low").astype(object)

        verdict = self._judge(candidate=4, champion=5, table=flipped)

        assert verdict.passed
        assert verdict.champion_score < 1.0

    def test_training_rows_do_not_affect_the_comparison(self) -> None:
        """The candidate is perfect on the training rows and wrong on held-out ones."""
        table = _table()
        held_out = split_rows(table, _config()).held_out
        table.loc[held_out, "y"] = np.where(table.loc[held_out, "x"] >= 4, "high", "low").astype(object)

        assert not self._judge(candidate=5, champion=4, table=table).passed

    def test_a_score_below_the_best_promoted_score_is_refused(self) -> None:
        assert not self._judge(candidate=4, champion=4, best=1.0).passed

    def test_without_a_champion_thresholds_alone_decide(self) -> None:
        gate = GateConfig(metric="accuracy", thresholds={"accuracy": 0.95})

        assert self._judge(candidate=5, champion=None, gate=gate).passed
        assert not self._judge(candidate=4, champion=None, gate=gate).passed

    @pytest.mark.parametrize(
        ("contract", "reason"),
        [
            pytest.param(
                DataContract(
                    **{
                        **{f: getattr(CONTRACT, f) for f in CONTRACT.__struct_fields__},
                        "columns": {**CONTRACT.columns, "gone": Column(type="number")},
                    }
                ),
                "lacks the column 'gone'",
                id="a feature is gone",
            ),
            pytest.param(
                DataContract(**{**{f: getattr(CONTRACT, f) for f in CONTRACT.__struct_fields__}, "target": "x"}),
                "its target is 'x', and this training's is 'y'",
                id="another target",
            ),
        ],
    )
    def test_a_champion_that_cannot_be_scored_refuses_with_a_remedy(self, contract: DataContract, reason: str) -> None:
        config = _config()

        verdict = judge_candidate(
            _pipeline(5), split_rows(_table(), config), config, champion=_champion(4, contract), best_promoted=None
        )

        assert not verdict.passed
        assert reason in verdict.reasons[-1]
        assert "--new-baseline" in verdict.reasons[-1]

    def test_the_reason_quotes_no_value_that_is_private_by_now(self) -> None:
        def contract(name: Column, **changes: str) -> DataContract:
            return msgspec.structs.replace(CONTRACT, columns={**CONTRACT.columns, "name": name}, **changes)

        config = _config(data=contract(Column(type="string", sensitive=True), id="name"))
        parts = split_rows(_table().assign(name=[f"Anna {row}" for row in range(400)]), config)
        before = _champion(4, contract(Column(type="number")))
        verdict = judge_candidate(_pipeline(5), parts, config, champion=before, best_promoted=None)
        assert "column 'name' is a hidden str, expected a number" in verdict.reasons[-1]


def test_the_generated_pipeline_runs_the_six_steps_in_order(tmp_path: Path, generate: Callable[..., Project]) -> None:
    from platform_lib.training.config.compose import compose
    from platform_lib.training.steps import Steps
    from platform_lib.user_code import import_user_module

    project = generate(tmp_path / "project")
    real, order = untracked_steps(project), []

    def watched(name: str) -> Callable[..., Any]:
        def step(*args: Any) -> Any:
            order.append(name)
            return getattr(real, name)(*args)

        return step

    names = ("load", "split", "fit", "evaluate", "gate", "register")
    result = import_user_module(project, "pipeline").train(
        compose(project).config, Steps(**{name: watched(name) for name in names})
    )

    assert tuple(order) == names
    assert result.passed


# Mutants: each way to break the module turns the named tests red.

MUTANTS: dict[str, Mutant] = {
    "swap the two models in the step": (
        [
            ("candidate=candidate,", "candidate=answers or candidate,"),
            ("champion=answers,", "champion=answers and candidate,"),
        ],
        [TestGate().test_a_worse_candidate_is_refused_and_a_better_one_passes],
    ),
    "compare with the stored score alone": (
        [("champion=answers,", "champion=None,")],
        [TestGate().test_candidate_and_champion_are_scored_on_the_same_held_out_rows],
    ),
    "judge on training rows": (
        [
            ("candidate = predicted(pipeline, split.test.frame)", "candidate = predicted(pipeline, split.train.frame)"),
            ("truth=split.test.truth", "truth=split.train.truth"),
            ("champion.predict(split.table[split.held_out])", "champion.predict(split.table[~split.held_out])"),
        ],
        [TestGate().test_training_rows_do_not_affect_the_comparison],
    ),
    "evaluate on training rows": (
        [
            (
                "rows = split.test\n    evaluation = measure",
                "rows = split.train\n    evaluation = measure",
            )
        ],
        [test_evaluation_uses_only_held_out_rows],
    ),
    "score the champion on other rows": (
        [
            (
                "champion.predict(split.table[split.held_out])",
                "champion.predict(split.table.head(int(split.held_out.sum())))",
            )
        ],
        [TestGate().test_candidate_and_champion_are_scored_on_the_same_held_out_rows],
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_makes_every_named_test_fail(name: str) -> None:
    assert still_green(steps, MUTANTS[name]) == []


def test_the_named_tests_pass_on_the_real_source() -> None:
    assert red_tests(MUTANTS.values()) == set()
