"""What to try after a training: commands that can help with this result."""

import math
import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from platform_lib.training.config.schema import TrainConfig
    from platform_lib.training.evaluation import Confusion, Evaluation
    from platform_lib.training.gates import Verdict

_MISSED = 0.2
"""A class counts as hardly predicted if it is predicted for fewer rows than this share of those that it is true for."""
_FEW_ROWS = 20
_MOST = 5


class Step(NamedTuple):
    """A command, and what it is for."""

    command: str
    reason: str


def next_steps(
    name: str,
    config: "TrainConfig",
    evaluation: "Evaluation",
    verdict: "Verdict",
    *,
    overrides: Sequence[str] = (),
    models: Iterable[str] = (),
) -> list[Step]:
    """Commands that can help a version that did not pass the gate, the most promising first.

    Args:
        name: Of the version, such as `churn/7`.
        config: It was trained with.
        evaluation: Of the version.
        verdict: Of the gate; nothing is proposed if it passed.
        overrides: Of the command that trained it, which the proposals repeat.
        models: The choices of conf/model.
    """
    if verdict.passed:
        return []
    again = _Command(overrides)
    steps = _for_rare_classes(config, evaluation.confusion, again)
    compared = verdict.rows if verdict.compared_rows is None else verdict.compared_rows
    if compared < verdict.rows:
        said = f"the champion was fitted on {verdict.rows - compared} of the {verdict.rows} held-out rows"
        steps.append(Step(again.with_("--new-baseline"), f"{said}: let the thresholds decide"))
    elif any("--new-baseline" in reason for reason in verdict.reasons):
        steps.append(Step(again.with_("--new-baseline"), "let the thresholds decide, if the table changed on purpose"))
    if verdict.decision == "cannot tell":
        steps += _for_few_rows(name, verdict, again)
    else:
        others = [choice for choice in models if choice != config.model.name]
        steps += [Step(again.with_(f"model={choice}"), "try another choice of conf/model") for choice in others[:2]]
        steps.append(Step("mlp sweep", "search for better parameters on the training rows"))
    return steps[:_MOST]


class _Command:
    """`mlp train` with the overrides of the last run and one more, which replaces one with the same key."""

    def __init__(self, overrides: Sequence[str]) -> None:
        self._overrides = overrides

    def with_(self, *more: str) -> str:
        keys = {text.partition("=")[0] for text in more}
        kept = [text for text in self._overrides if text.partition("=")[0].lstrip("+") not in keys]
        return " ".join(["mlp train", *(shlex.quote(text) for text in (*kept, *more))])


def _for_rare_classes(config: "TrainConfig", confusion: "Confusion | None", again: _Command) -> list[Step]:
    """Remedies for a class that the model hardly ever predicts."""
    missed = hardly_predicted(confusion)
    if confusion is None or not missed:
        return []
    label, predicted, true = missed[0]
    said = f"{label!r} is true for {true} held-out row{'' if true == 1 else 's'} and predicted for {predicted}"
    steps = []
    if config.model.class_weight is None:
        steps.append(Step(again.with_("model.class_weight=balanced"), f"{said}: give rare classes more weight"))
    if len(confusion.labels) == 2 and config.model.threshold is None:
        share = true / max(sum(map(sum, confusion.counts)), 1)
        is_positive = label == confusion.labels[1]
        threshold = min(max(round(share if is_positive else 1 - share, 2), 0.01), 0.99)
        steps.append(Step(again.with_(f"model.threshold={threshold:g}"), f"or predict {label!r} at its base rate"))
    if true < _FEW_ROWS:
        share = min(0.5, 2 * config.split.test_share)
        if config.split.method != "time" and share > config.split.test_share:
            steps.append(
                Step(
                    again.with_(f"split.test_share={share:g}"), f"measure on more rows: {true} of {label!r} tell little"
                )
            )
    return steps


def hardly_predicted(confusion: "Confusion | None") -> list[tuple[str, int, int]]:
    """Per class that is hardly ever predicted: its label, the rows it is predicted for, and those it is true for."""
    if confusion is None:
        return []
    found = []
    for place, label in enumerate(confusion.labels):
        predicted, true = sum(row[place] for row in confusion.counts), sum(confusion.counts[place])
        if predicted < _MISSED * true:
            found.append((label, predicted, true))
    return found


def _for_few_rows(name: str, verdict: "Verdict", again: _Command) -> list[Step]:
    steps = [Step("mlp data import FILE --append", "add rows: four times as many halve the interval")]
    if verdict.interval is not None:
        delta = f"{_rounded_up(-verdict.interval[0]):g}"
        steps.append(Step(again.with_(f"gate.delta={delta}"), f"pass it, although it may be {delta} worse"))
    return [*steps, Step(f"mlp promote {name} --force", "promote it without an answer")]


def _rounded_up(value: float) -> float:
    """The next value with two significant digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / unit) * unit:.2g}")
