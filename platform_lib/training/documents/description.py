"""What MLflow and Prefect show of a training: the run's name, the verdict, and a description in Markdown."""

import re
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from platform_lib.model.card import ModelCard
from platform_lib.names import VersionTag
from platform_lib.registry.client import mlflow_errors
from platform_lib.training.wording import number, verdict_lines

if TYPE_CHECKING:
    from platform_lib.training.config.schema import TrainConfig
    from platform_lib.training.evaluation import Evaluation
    from platform_lib.training.gates import Verdict
    from platform_lib.training.plan import TrainingPlan

VERDICT_TAG, VERSION_TAG = "mlp.verdict", "mlp.version"
_NOTE_TAG = "mlflow.note.content"
_LONGEST, _LONGEST_FIELD = 3000, 400
_DEEPEST = 4
"""Estimators within estimators that are named; more is unreadable."""


def run_name(config: "TrainConfig") -> str:
    """The name of a run: the choice of model and the table."""
    return f"{config.model.name} on {config.data.name}"


def estimator_name(pipeline: Any) -> str:
    """The class of the last step, with the estimators in it: `FixedThresholdClassifier(LogisticRegression)`."""
    from sklearn.base import BaseEstimator

    estimator = pipeline.steps[-1][1] if getattr(pipeline, "steps", None) else pipeline
    names: list[str] = []
    while estimator is not None and len(names) < _DEEPEST:
        names.append(type(estimator).__name__)
        given = estimator.get_params(deep=False) if isinstance(estimator, BaseEstimator) else {}
        inner = (given.get(name) for name in ("estimator", "regressor"))
        estimator = next((found for found in inner if isinstance(found, BaseEstimator)), None)
    return "(".join(names) + ")" * (len(names) - 1)


def version_tags(pipeline: Any, config: "TrainConfig") -> dict[str, str]:
    """The tags of a version that say which model it is."""
    return {VersionTag.MODEL: config.model.name, VersionTag.ESTIMATOR: estimator_name(pipeline)}


def describe(
    pipeline: Any, config: "TrainConfig", evaluation: "Evaluation", verdict: "Verdict", card: ModelCard
) -> str:
    """Describe a version in Markdown, as MLflow and Prefect render it: what it is, verdict, metrics, model card."""
    import msgspec

    first, *others = verdict_lines(msgspec.to_builtins(verdict))
    lines = [
        f"**{estimator_name(pipeline)}** (`{config.model.name}`) predicts `{config.data.target}` of the table "
        f"`{config.data.name}`.",
        "",
        f"**{first}**",
        *(line.strip() if line.startswith("  - ") else f"- {line.strip()}" for line in others),
        "",
        f"| metric on {evaluation.rows} held-out rows | value | ± | constant |",
        "|---|---|---|---|",
    ]
    for name, value in evaluation.metrics.items():
        error, constant = evaluation.standard_errors.get(name), evaluation.baseline.get(name)
        lines.append(f"| {name} | {number(value)} | {number(error)} | {number(constant)} |")
    shown = [f"- {name}: {shorten(text, _LONGEST_FIELD, placeholder=' …')}" for name, text in card.rows().items()]
    about = ["", "**Model card**", *(_escaped(line) for line in shown)] if shown else []
    return "\n".join([_joined([_escaped(line) for line in lines]), *about])


def show_verdict(plan: "TrainingPlan", run_id: str, *, version: str, verdict: "Verdict", description: str) -> None:
    """Show the verdict in the list of runs, where every run that ended without an error has a green tick.

    A run whose version did not pass says so in its name.
    """
    tags = {VERDICT_TAG: verdict.decision, VERSION_TAG: version, _NOTE_TAG: description}
    with mlflow_errors(plan.registry.uri):
        for name, value in tags.items():
            plan.registry.client.set_tag(run_id, name, value)
        if not verdict.passed:
            plan.registry.client.update_run(run_id, name=f"{run_name(plan.config)} ({verdict.decision})")


def _joined(lines: list[str]) -> str:
    """The lines that fit; MLflow stores a description in 5,000 characters, of which the model card needs some."""
    length = 0
    kept: list[str] = []
    for line in lines:
        length += len(line) + 1
        if length > _LONGEST:
            return "\n".join([*kept, "…"])
        kept.append(line)
    return "\n".join(kept)


def _escaped(line: str) -> str:
    """A line in which a text such as `<b>` of a column or class stays a text."""
    return re.sub(r"<(?=[A-Za-z/!])", "&lt;", line)
