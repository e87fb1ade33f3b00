"""Each way to break the gate turns a behaviour test red: the source is changed, the named tests are run, and one of them has to fail."""

import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from platform_lib.training import gates, steps
from tests.training import test_gates, test_steps

STEPS = test_steps.TestGate()

# module, (text of today's source, mutated text) pairs, the tests that notice
Mutant = tuple[types.ModuleType, Sequence[tuple[str, str]], Sequence[Callable[[], None]]]

MUTANTS: dict[str, Mutant] = {
    "swap the two models in the interval": (
        gates,
        [("sign * (ours(weights) - theirs(weights))", "sign * (theirs(weights) - ours(weights))")],
        [test_gates.test_a_better_model_passes_and_a_worse_one_is_refused],
    ),
    "swap the two models in the step": (
        steps,
        [("candidate=candidate,", "candidate=answers or candidate,"), ("champion=answers,", "champion=answers and candidate,")],
        [STEPS.test_a_worse_candidate_is_refused_and_a_better_one_passes],
    ),
    "force the flag": (
        gates,
        [("passed=not reasons", "passed=True")],
        [test_gates.test_a_missed_threshold_refuses_and_says_by_how_much, test_gates.test_predictions_that_are_no_numbers_fail],
    ),
    "reuse a stored score for the champion's": (
        gates,
        [("champion_score, undefined = _computed(gate.metric, truth, champion)", "champion_score, undefined = best_promoted, []")],
        [test_gates.test_the_champion_s_score_is_never_the_remembered_one],
    ),
    "compare with the stored score alone": (
        steps,
        [("champion=answers,", "champion=None,")],
        [STEPS.test_both_are_scored_on_the_same_held_out_rows],
    ),
    "drop the threshold": (
        gates,
        [("reasons + below", "reasons")],
        [test_gates.test_a_missed_threshold_refuses_and_says_by_how_much],
    ),
    "turn the threshold of an error around": (
        gates,
        [("(value < threshold) if greater else (value > threshold)", "value < threshold")],
        [test_gates.test_where_lower_is_better_a_threshold_is_a_ceiling],
    ),
    "widen the margin": (
        gates,
        [("low >= -gate.delta", "low >= -10 * gate.delta")],
        [test_gates.test_a_delta_is_not_widened, test_gates.test_the_lower_end_decides_by_delta_and_not_the_mean_nor_the_upper_end],
    ),
    "judge by the upper end": (
        gates,
        [("if low >= -gate.delta", "if high >= -gate.delta")],
        [test_gates.test_the_lower_end_decides_by_delta_and_not_the_mean_nor_the_upper_end],
    ),
    "judge by the score instead of the interval": (
        gates,
        [("if low >= -gate.delta", "if sign * (own - champion_score) >= -gate.delta")],
        [test_gates.test_a_better_model_that_few_rows_cannot_show_is_refused_with_what_would_help],
    ),
    "draw other rows for each model": (
        gates,
        [("theirs(weights))", "theirs(draw_weights(generator, len(truth))))")],
        [test_gates.test_the_interval_is_that_of_paired_differences],
    ),
    "forget the best ever promoted": (
        gates,
        [("if best_promoted is not None and", "if False and")],
        [test_gates.test_a_slow_slide_below_the_best_ever_promoted_is_stopped],
    ),
    "let what cannot be computed pass": (
        gates,
        [("return None, [str(err).rstrip(\".\")]", "return None, []")],
        [test_gates.test_a_metric_that_cannot_be_computed_fails],
    ),
    "judge on training rows": (
        steps,
        [
            ("candidate = predict(pipeline, split.test.frame)", "candidate = predict(pipeline, split.train.frame)"),
            ("truth=split.test.truth", "truth=split.train.truth"),
            ("champion.predict(split.table[split.held_out])", "champion.predict(split.table[~split.held_out])"),
        ],
        [STEPS.test_training_rows_play_no_part],
    ),
    "evaluate on training rows": (
        steps,
        [("evaluate(pipeline, split.test.frame, split.test.truth, config)", "evaluate(pipeline, split.train.frame, split.train.truth, config)")],
        [test_steps.test_evaluation_measures_the_held_out_rows_only],
    ),
    "score the champion on other rows": (
        steps,
        [("champion.predict(split.table[split.held_out])", "champion.predict(split.table.head(int(split.held_out.sum())))")],
        [STEPS.test_both_are_scored_on_the_same_held_out_rows],
    ),
}  # fmt: skip


@contextmanager
def _mutated(module: types.ModuleType, changes: Sequence[tuple[str, str]]) -> Iterator[None]:
    """Give the module's functions the code of its changed source, and take it back."""
    assert module.__file__ is not None
    source = Path(module.__file__).read_text(encoding="utf-8")
    for old, new in changes:
        assert source.count(old) == 1, (
            f"{module.__name__} has {old!r} {source.count(old)} times, expected once: bring the mutant up to date"
        )
        source = source.replace(old, new)
    mutant = types.ModuleType(module.__name__)
    exec(compile(source, module.__file__, "exec"), vars(mutant))
    originals = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, types.FunctionType) and value.__module__ == module.__name__
    }
    codes = {name: function.__code__ for name, function in originals.items()}
    try:
        for name, function in originals.items():
            function.__code__ = vars(mutant)[name].__code__
        yield
    finally:
        for name, function in originals.items():
            function.__code__ = codes[name]


def _notices(test: Callable[[], None]) -> bool:
    try:
        test()
    except Exception:  # an AssertionError or whatever the mutant made of it: red is red
        return True
    return False


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_turns_every_named_test_red(name: str) -> None:
    module, changes, tests = MUTANTS[name]
    with _mutated(module, changes):
        silent = [test.__name__ for test in tests if not _notices(test)]
    assert silent == []


def test_the_named_tests_are_green_on_the_real_source() -> None:
    red = {test.__name__ for _, _, tests in MUTANTS.values() for test in tests if _notices(test)}
    assert red == set()


def test_a_mutant_of_text_that_is_no_more_fails_loudly() -> None:
    with pytest.raises(AssertionError, match="bring the mutant up to date"), _mutated(gates, [("no such text", "")]):
        pass
