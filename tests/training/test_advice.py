"""What `mlp train` proposes after a refusal can help with that refusal."""

from typing import Any

from platform_lib.data.contract import Column, DataContract
from platform_lib.training.advice import next_steps
from platform_lib.training.config.schema import GateConfig, ModelConfig, TrainConfig
from platform_lib.training.evaluation import Confusion, Evaluation
from platform_lib.training.gates import Verdict

CONTRACT = DataContract(
    name="t", path="t", task="classification", target="y", columns={"y": Column(type="string", allowed=["fraud", "ok"])}
)


def proposed(
    counts: list[list[int]], overrides: tuple[str, ...] = (), model: dict[str, Any] | None = None, **verdict: Any
) -> list[str]:
    config = TrainConfig(
        data=CONTRACT,
        model=ModelConfig(**{"name": "logistic"} | (model or {})),
        gate=GateConfig(metric="balanced_accuracy"),
    )
    evaluation = Evaluation(rows=100, metrics={}, confusion=Confusion(labels=["fraud", "ok"], counts=counts))
    values: dict[str, Any] = {"passed": False, "reasons": ["r"], "metric": "accuracy", "score": 0.5, "rows": 100}
    judged = Verdict(**values | {"delta": 0.01} | verdict)
    steps = next_steps(
        "t/7", config, evaluation, judged, overrides=overrides, models=["boosting", "forest", "logistic"]
    )
    return [step.command for step in steps]


BALANCED = [[40, 10], [10, 40]]


def test_a_class_that_is_hardly_predicted_gets_class_weights_a_threshold_and_more_rows() -> None:
    assert proposed([[0, 3], [0, 97]])[:3] == [
        "mlp train model.class_weight=balanced",
        "mlp train model.threshold=0.97",
        "mlp train split.test_share=0.4",
    ]


def test_settings_that_were_tried_are_not_proposed_again() -> None:
    tried = {"class_weight": "balanced", "threshold": 0.4}

    assert not [command for command in proposed([[0, 30], [0, 970]], model=tried) if "weight" in command]
    assert "mlp train model=logistic" not in proposed(BALANCED)


def test_the_overrides_of_the_last_run_are_repeated() -> None:
    assert proposed([[0, 30], [0, 970]], ("model=forest", "+model.params.n=5", "seed=1"), {"name": "forest"})[:3] == [
        "mlp train model=forest +model.params.n=5 seed=1 model.class_weight=balanced",
        "mlp train model=forest +model.params.n=5 seed=1 model.threshold=0.97",
        "mlp train +model.params.n=5 seed=1 model=boosting",
    ]


def test_an_open_question_gets_rows_a_larger_delta_or_a_decision_by_hand() -> None:
    assert proposed(BALANCED, decision="cannot tell", interval=(-0.0412, 0.01)) == [
        "mlp data import FILE --append",
        "mlp train gate.delta=0.042",
        "mlp promote t/7 --force",
    ]


def test_a_champion_that_cannot_be_compared_gets_a_new_baseline() -> None:
    assert "mlp train --new-baseline" in proposed(BALANCED, reasons=["…; `mlp train --new-baseline` lets …"])
    assert "mlp train --new-baseline" in proposed(BALANCED, compared_rows=40)
    assert "mlp train --new-baseline" not in proposed(BALANCED, compared_rows=100)


def test_a_version_that_passed_needs_nothing() -> None:
    assert proposed([[0, 3], [0, 97]], passed=True) == []
