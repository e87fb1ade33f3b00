"""The gate: thresholds, the champion on the same rows, the best promoted score, and its reasons."""

import io
import re
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from platform_lib.errors import UsageError
from platform_lib.model.artifact import Predictions
from platform_lib.training import gates
from platform_lib.training.config.schema import GateConfig
from platform_lib.training.gates import Verdict, judge
from tests.training.mutants import Mutant, red_tests, still_green

ROWS = 1000
TRUTH = np.array(["yes" if i % 2 else "no" for i in range(ROWS)], dtype=object)


def _wrong_on(*rows: range, truth: NDArray[Any] = TRUTH) -> Predictions:
    """A classifier that errs on the given rows only, with confident probabilities."""
    values = truth.copy()
    for part in rows:
        for row in part:
            values[row] = "no" if truth[row] == "yes" else "yes"
    yes = (values == "yes").astype(float)
    return Predictions(values, np.column_stack([1 - yes, yes]), ("no", "yes"))


def _judge(
    candidate: Predictions,
    champion: Predictions | None = None,
    *,
    best: float | None = None,
    truth: Any = TRUTH,
    unseen: NDArray[np.bool_] | None = None,
    constants: Sequence[Predictions] = (),
    **gate: Any,
) -> Verdict:
    values: dict[str, Any] = {"metric": "accuracy", "delta": 0.01} | gate
    settings = GateConfig(**values)
    version = None if champion is None else "7"
    return judge(
        settings,
        truth=truth,
        candidate=candidate,
        champion=champion,
        champion_version=version,
        best_promoted=best,
        unseen=unseen,
        constants=constants,
    )


# Thresholds


def test_without_a_champion_a_met_threshold_passes() -> None:
    verdict = _judge(_wrong_on(range(100)), thresholds={"accuracy": 0.9})
    assert (verdict.passed, verdict.reasons, verdict.score, verdict.interval) == (True, [], 0.9, None)


def test_a_missed_threshold_is_refused_with_the_difference() -> None:
    verdict = _judge(_wrong_on(range(100)), thresholds={"accuracy": 0.95, "balanced_accuracy": 0.5})
    assert not verdict.passed
    assert verdict.reasons == ["accuracy is 0.9000, 0.0500 below its threshold 0.95"]
    assert verdict.scores == {"accuracy": 0.9, "balanced_accuracy": 0.9}


def test_for_a_metric_that_is_minimised_a_threshold_is_an_upper_bound() -> None:
    truth = np.arange(50.0)
    off_by_two = Predictions(truth + 2, None)
    assert _judge(off_by_two, truth=truth, metric="mae", thresholds={"mae": 2.0}).passed
    refused = _judge(off_by_two, truth=truth, metric="mae", thresholds={"mae": 1.5})
    assert refused.reasons == ["mae is 2.0000, 0.5000 above its threshold 1.5"]


def test_a_missed_threshold_refuses_even_if_the_champion_is_worse() -> None:
    assert not _judge(_wrong_on(range(100)), _wrong_on(range(300)), thresholds={"accuracy": 0.95}).passed


# The champion


def test_the_same_model_passes_with_a_zero_interval_even_on_sixty_rows() -> None:
    model = _wrong_on(range(7), truth=TRUTH[:60])
    verdict = _judge(model, model, truth=TRUTH[:60], delta=0.0)
    assert (verdict.passed, verdict.interval, verdict.score, verdict.champion_score) == (
        True,
        (0.0, 0.0),
        verdict.champion_score,
        verdict.score,
    )


def test_a_better_model_passes_and_a_worse_one_is_refused() -> None:
    better, worse = _wrong_on(range(50)), _wrong_on(range(150))
    assert _judge(better, worse).passed
    verdict = _judge(worse, better)
    assert not verdict.passed
    assert verdict.champion_score == 0.95
    assert verdict.reasons[0].startswith(
        "accuracy is 0.8500 against 0.9500 for the champion, version 7 on the same 1000 rows"
    )


def test_the_interval_is_of_paired_differences() -> None:
    """Both err on the same 400 rows; the candidate errs on 20 more.

    Unpaired, the interval would be five times as wide.
    """
    low, high = _judge(_wrong_on(range(420)), _wrong_on(range(400))).interval or (0.0, 0.0)
    deviation = np.sqrt(0.02 * 0.98 / ROWS)
    assert [low, high] == pytest.approx([-0.02 - 1.96 * deviation, -0.02 + 1.96 * deviation], abs=0.002)


def test_the_lower_bound_is_compared_with_delta_not_the_mean_or_the_upper_bound() -> None:
    candidate, champion = _wrong_on(range(420)), _wrong_on(range(400))
    low, _ = _judge(candidate, champion).interval or (0.0, 0.0)
    assert _judge(candidate, champion, delta=-low + 1e-6).passed
    assert not _judge(candidate, champion, delta=-low - 1e-6).passed


def test_the_allowed_delta_is_exact() -> None:
    assert not _judge(_wrong_on(range(115)), _wrong_on(range(100)), delta=0.005).passed


def test_a_better_model_on_too_few_rows_is_refused_with_a_remedy() -> None:
    verdict = _judge(
        _wrong_on(range(8), truth=TRUTH[:60]), _wrong_on(range(20, 30), truth=TRUTH[:60]), truth=TRUTH[:60]
    )
    assert verdict.score is not None and verdict.champion_score is not None
    assert verdict.score > verdict.champion_score
    assert not verdict.passed
    assert verdict.reasons[0].endswith(
        "These rows are too few to show that it is not worse: hold out more rows, or use a larger gate.delta"
    )


def test_too_few_rows_to_tell_are_another_decision_than_a_worse_model() -> None:
    few = TRUTH[:60]
    unlike = _judge(_wrong_on(range(8), truth=few), _wrong_on(range(20, 30), truth=few), truth=few)
    worse = _judge(_wrong_on(range(150)), _wrong_on(range(50)))
    below = _judge(_wrong_on(range(8), truth=few), _wrong_on(range(20, 30), truth=few), truth=few, best=1.0)

    assert (unlike.decision, unlike.passed) == ("cannot tell", False)
    assert (worse.decision, below.decision) == ("refused", "refused")
    assert _judge(_wrong_on(range(50)), _wrong_on(range(50))).decision == "passed"


def test_on_a_small_hold_out_delta_grows_as_far_as_equals_need_and_the_rows_can_tell() -> None:
    few, many = TRUTH[:200], np.tile(TRUTH, 20)
    error = np.sqrt(0.2 * 0.8 / 200)
    champion, candidate = _wrong_on(range(40), truth=few), _wrong_on(range(2, 45), truth=few)

    assert _judge(candidate, champion, truth=few).margin == pytest.approx(3.5 * np.sqrt(0.035 / 200), rel=0.1)
    assert _judge(candidate, champion, truth=few, standard_errors=1.0).margin == pytest.approx(error, rel=0.15)
    assert not _judge(candidate, champion, truth=few, standard_errors=0.0).passed
    alike = _judge(_wrong_on(range(41), truth=few), champion, truth=few)
    assert alike.margin == pytest.approx(3.5 * np.sqrt(0.005 * 0.995 / 200), rel=0.1)
    unlike = _judge(_wrong_on(range(100, 4100), truth=many), _wrong_on(range(4000), truth=many), truth=many)
    assert unlike.margin == unlike.delta == 0.01


def test_the_interval_is_told_in_words() -> None:
    said = _judge(_wrong_on(range(150)), _wrong_on(range(50))).reasons[0]
    open_question = _judge(_wrong_on(range(500, 600)), _wrong_on(range(100))).reasons[0]

    assert re.search(
        r"on the same 1000 rows: worse by 0\.08\d\d to 0\.1[12]\d\d \(95 % interval\); 0\.01\d* worse is allowed on these rows",
        said,
    )
    assert re.search(
        r"between 0\.0\d\d\d worse and 0\.0\d\d\d better \(95 % interval\); 0\.01\d* worse is allowed on these rows",
        open_question,
    )


def test_rows_that_the_champion_was_fitted_on_are_not_compared() -> None:
    """The champion is right on the 800 rows that it was fitted on, and worse than the candidate on the others."""
    unseen = np.arange(ROWS) >= 800
    champion, candidate = _wrong_on(range(800, 900)), _wrong_on(range(0, 120), range(800, 820))

    assert not _judge(candidate, champion).passed
    verdict = _judge(candidate, champion, unseen=unseen)
    assert (verdict.passed, verdict.rows, verdict.compared_rows) == (True, 1000, 200)
    assert (verdict.score, verdict.champion_score) == (0.86, 0.5)


def test_a_champion_that_was_fitted_on_every_row_leaves_the_question_open() -> None:
    verdict = _judge(_wrong_on(range(9)), _wrong_on(), unseen=np.zeros(ROWS, dtype=bool))

    assert verdict.decision == "cannot tell"
    assert "was fitted on all of the held-out rows. `mlp train --new-baseline`" in verdict.reasons[0]


def test_a_model_that_does_not_beat_a_constant_prediction_is_refused_although_it_meets_its_threshold() -> None:
    truth = np.array(["no"] * 970 + ["yes"] * 30, dtype=object)
    constant = Predictions(np.full(ROWS, "no", dtype=object), np.tile([0.97, 0.03], (ROWS, 1)), ("no", "yes"))

    def verdict(wrong: range) -> Verdict:
        return _judge(_wrong_on(wrong, truth=truth), truth=truth, thresholds={"accuracy": 0.9}, constants=[constant])

    assert verdict(range(50)).reasons == ["accuracy is 0.9500, not better than the 0.9700 of a constant prediction"]
    assert not verdict(range(30)).passed
    assert (verdict(range(20)).passed, verdict(range(20)).baseline) == (True, 0.97)


def test_a_clearly_worse_model_gets_no_advice_to_collect_more_rows() -> None:
    assert "more rows" not in _judge(_wrong_on(range(300)), _wrong_on(range(100))).reasons[0]


def test_for_a_metric_that_is_minimised_improvements_are_still_positive() -> None:
    truth = np.random.default_rng(0).normal(size=500)
    near, far = Predictions(truth + 0.1, None), Predictions(truth + 0.5, None)
    verdict = _judge(near, far, truth=truth, metric="rmse")
    assert verdict.passed
    assert list(verdict.interval or ()) == pytest.approx([0.4, 0.4])
    assert not _judge(far, near, truth=truth, metric="rmse").passed


def test_the_verdict_is_deterministic() -> None:
    candidate, champion = _wrong_on(range(420)), _wrong_on(range(400))
    assert _judge(candidate, champion) == _judge(candidate, champion)


def test_rounding_differences_of_a_reloaded_champion_do_not_refuse() -> None:
    yes = np.where(TRUTH == "yes", 0.9, 0.1)
    values = TRUTH.copy()
    original = Predictions(values, np.column_stack([1 - yes, yes]), ("no", "yes"))
    reloaded = Predictions(values, np.column_stack([1 - yes, yes]) + 1e-16 * np.array([1, -1]), ("no", "yes"))
    assert _judge(original, reloaded, metric="log_loss", delta=0.0).passed
    assert _judge(reloaded, original, metric="log_loss", delta=0.0).passed


# The best score ever promoted


def test_a_gradual_decline_below_the_best_promoted_score_is_refused() -> None:
    champion = candidate = _wrong_on(range(100))
    verdict = _judge(candidate, champion, best=0.92)
    assert verdict.reasons == [
        "accuracy is 0.9000, worse by 0.0200 than the best ever promoted, 0.9200; delta allows 0.01"
    ]
    assert _judge(candidate, champion, best=0.905).passed


def test_for_a_metric_that_is_minimised_the_best_promoted_score_is_the_lowest() -> None:
    truth = np.arange(50.0)
    off_by_two = Predictions(truth + 2, None)
    assert _judge(off_by_two, truth=truth, metric="mae", best=5.0).passed
    assert not _judge(off_by_two, truth=truth, metric="mae", best=1.5).passed


def test_the_champions_stored_score_is_never_used() -> None:
    """The table has changed: the champion scored 0.80 once and scores 0.95 on these rows; the candidate scores 0.85."""
    verdict = _judge(_wrong_on(range(150)), _wrong_on(range(50)), best=0.80)
    assert verdict.champion_score == 0.95
    assert not verdict.passed


# What cannot be computed


def test_a_metric_that_cannot_be_computed_refuses() -> None:
    labels_only = Predictions(TRUTH.copy(), None, ("no", "yes"))
    verdict = _judge(labels_only, metric="roc_auc")
    assert (verdict.passed, verdict.score) == (False, None)
    assert verdict.reasons[0].startswith("roc_auc cannot be computed: the model gives no probabilities")


def test_a_threshold_on_a_metric_that_cannot_be_computed_refuses() -> None:
    labels_only = Predictions(TRUTH.copy(), None, ("no", "yes"))
    assert not _judge(labels_only, thresholds={"log_loss": 100.0}).passed


def test_predictions_that_are_not_numbers_refuse() -> None:
    truth = np.arange(10.0)
    verdict = _judge(Predictions(np.full(10, np.nan), None), truth=truth, metric="mae", thresholds={"mae": 1e9})
    assert (verdict.passed, verdict.reasons) == (False, ["mae cannot be computed: 10 predictions are NaN or infinite"])


def test_a_single_class_in_the_hold_out_refuses() -> None:
    one = np.array(["no"] * 40, dtype=object)
    assert not _judge(_wrong_on(truth=one), truth=one, metric="balanced_accuracy").passed


def test_a_champion_with_other_labels_refuses_instead_of_losing() -> None:
    champion = Predictions(np.array([1] * ROWS), None, (0, 1))
    verdict = _judge(_wrong_on(range(100)), champion)
    assert not verdict.passed
    assert verdict.reasons[0].startswith(
        "the champion, version 7, cannot be compared: accuracy cannot be computed: the model knows the classes 0, 1"
    )


def test_a_metric_that_is_undefined_on_most_resamples_refuses() -> None:
    truth = np.array(["no"] * 60 + ["yes"] + ["maybe"], dtype=object)
    shares = np.full((62, 3), 1 / 3)
    model = Predictions(truth.copy(), shares, ("maybe", "no", "yes"))
    verdict = _judge(model, model, truth=truth, metric="roc_auc")
    assert verdict.interval is None
    assert verdict.reasons[0].startswith("roc_auc is undefined in most resamples of the 62 held-out rows")


def test_an_unknown_metric_is_a_usage_error_not_a_verdict() -> None:
    with pytest.raises(UsageError, match="'acuracy' is not a metric"):
        _judge(_wrong_on(), metric="acuracy")


def test_the_documented_example_prints_the_documented_output() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "gate.md").read_text(encoding="utf-8")
    code, printed = page.split("```python\n")[1].split("```")[0], page.split("```text\n")[1].split("```")[0]
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile(code, "docs/gate.md", "exec"), {})
    assert out.getvalue() == printed


# Mutants: each way to break the module turns the named tests red.

MUTANTS: dict[str, Mutant] = {
    "swap the two models in the interval": (
        [("sign * (ours(weights) - theirs(weights))", "sign * (theirs(weights) - ours(weights))")],
        [test_a_better_model_passes_and_a_worse_one_is_refused],
    ),
    "force the flag": (
        [("passed=not reasons", "passed=True")],
        [test_a_missed_threshold_is_refused_with_the_difference, test_predictions_that_are_not_numbers_refuse],
    ),
    "reuse a stored score for the champion's": (
        [
            (
                "champion_score, undefined = _computed(gate.metric, truth, champion)",
                "champion_score, undefined = best_promoted, []",
            )
        ],
        [test_the_champions_stored_score_is_never_used],
    ),
    "drop the threshold": (
        [("reasons + below", "reasons")],
        [test_a_missed_threshold_is_refused_with_the_difference],
    ),
    "turn the threshold of an error around": (
        [("(value < threshold) if greater else (value > threshold)", "value < threshold")],
        [test_for_a_metric_that_is_minimised_a_threshold_is_an_upper_bound],
    ),
    "widen the margin": (
        [("low >= -gate.delta", "low >= -10 * gate.delta")],
        [test_the_allowed_delta_is_exact, test_the_lower_bound_is_compared_with_delta_not_the_mean_or_the_upper_bound],
    ),
    "judge by the upper end": (
        [("if low >= -gate.delta", "if high >= -gate.delta")],
        [test_the_lower_bound_is_compared_with_delta_not_the_mean_or_the_upper_bound],
    ),
    "judge by the score instead of the interval": (
        [("if low >= -gate.delta", "if sign * (own - champion_score) >= -gate.delta")],
        [test_a_better_model_on_too_few_rows_is_refused_with_a_remedy],
    ),
    "draw other rows for each model": (
        [("theirs(weights))", "theirs(draw_weights(generator, len(truth))))")],
        [test_the_interval_is_of_paired_differences],
    ),
    "forget the best ever promoted": (
        [("if best_promoted is not None and", "if False and")],
        [test_a_gradual_decline_below_the_best_promoted_score_is_refused],
    ),
    "let a constant pass": (
        [("if own is not None and baseline is not None and", "if False and")],
        [test_a_model_that_does_not_beat_a_constant_prediction_is_refused_although_it_meets_its_threshold],
    ),
    "compare on rows that the champion has seen": (
        [("if unseen is not None:", "if False:")],
        [test_rows_that_the_champion_was_fitted_on_are_not_compared],
    ),
    "grow delta on any hold-out": (
        [("min(gate.standard_errors * error,", "max(gate.standard_errors * error,")],
        [test_on_a_small_hold_out_delta_grows_as_far_as_equals_need_and_the_rows_can_tell],
    ),
    "call a worse model an open question": (
        [("return [facts], False", "return [facts], True")],
        [test_too_few_rows_to_tell_are_another_decision_than_a_worse_model],
    ),
    "let what cannot be computed pass": (
        [('return None, [str(err).rstrip(".")]', "return None, []")],
        [test_a_metric_that_cannot_be_computed_refuses],
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_makes_every_named_test_fail(name: str) -> None:
    assert still_green(gates, MUTANTS[name]) == []


def test_the_named_tests_pass_on_the_real_source() -> None:
    assert red_tests(MUTANTS.values()) == set()
