"""How often the gate passes a routine retraining, and refuses a worse model: `python -m benchmarks.gate [--seeds N]`.

A champion is trained on n rows; the candidate on the same rows and 7 % more, as a weekly retraining. One row in five is
held out. Worse candidates give the retrained one's predictions, spoiled at random until they are worse by a given loss.
Each is judged by `training.gates.judge` with the defaults of a generated project.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.metrics import score
from platform_lib.model.artifact import Predictions, predict
from platform_lib.training.config.schema import GateConfig
from platform_lib.training.gates import Verdict, judge

SIZES = (300, 1000, 3000, 10_000)
GROWTH = 0.07
HELD_OUT = 0.2
LOSSES = (0.02, 0.05, 0.1)
"""How much worse the candidates are, in the metric's unit."""
GATES = {"balanced_accuracy": GateConfig(metric="balanced_accuracy"), "r2": GateConfig(metric="r2")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Features, shape (n, 8), and the target, shape (n,)."""

    frame: pd.DataFrame
    truth: NDArray[Any]

    def at(self, mask: NDArray[np.bool_]) -> "Rows":
        """Some of the rows."""
        return Rows(frame=self.frame[mask], truth=self.truth[mask])


def draw_rows(generator: np.random.Generator, rows: int, metric: str) -> Rows:
    """A table as those of customers: eight features, two without effect, and a target that they explain in part."""
    values = generator.normal(size=(rows, 8))
    signal = values @ np.array([1.0, -0.8, 0.6, 0.4, -0.3, 0.2, 0.0, 0.0]) + 0.4 * values[:, 0] * values[:, 1]
    frame = pd.DataFrame(values, columns=list("abcdefgh"))
    if metric == "r2":
        return Rows(frame=frame, truth=signal + generator.normal(size=rows))
    churns = generator.random(rows) < 1 / (1 + np.exp(1.0 - signal))
    return Rows(frame=frame, truth=np.where(churns, "yes", "no").astype(object))


def models(metric: str) -> dict[str, Any]:
    """The estimators of a generated project, unfitted."""
    from sklearn.ensemble import (
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
        RandomForestClassifier,
        RandomForestRegressor,
    )
    from sklearn.linear_model import LogisticRegression, Ridge

    if metric == "r2":
        return {
            "ridge": Ridge(),
            "forest": RandomForestRegressor(100, random_state=0),
            "boosting": HistGradientBoostingRegressor(random_state=0),
        }
    return {
        "logistic": LogisticRegression(max_iter=1000),
        "forest": RandomForestClassifier(100, random_state=0),
        "boosting": HistGradientBoostingClassifier(random_state=0),
    }


def pair(estimator: Any, rows: int, metric: str, seed: int) -> tuple[NDArray[Any], Predictions, Predictions]:
    """A champion and its routine retraining, on the rows that both held out.

    Returns:
        The targets, the champion's predictions and the candidate's.
    """
    from sklearn.base import clone
    from sklearn.pipeline import make_pipeline

    generator = np.random.default_rng([seed, rows])
    whole = draw_rows(generator, round(rows * (1 + GROWTH)), metric)
    held = generator.random(len(whole.truth)) < HELD_OUT
    before = np.arange(len(whole.truth)) < rows
    fitted = [
        make_pipeline(clone(estimator)).fit(part.frame, part.truth)
        for part in (whole.at(~held & before), whole.at(~held))
    ]
    test = whole.at(held)
    champion, candidate = (predict(pipeline, test.frame) for pipeline in fitted)
    return test.truth, champion, candidate


def worsened(predictions: Predictions, truth: NDArray[Any], loss: float, generator: np.random.Generator) -> Predictions:
    """The predictions, on average worse by `loss`: some are swapped for the other class, or shifted at random."""
    if not loss:
        return predictions
    if predictions.classes:
        right = score("balanced_accuracy", truth, predictions)
        swap = generator.random(len(truth)) < loss / max(2 * right - 1, 0.1)
        no, yes = predictions.classes
        values = predictions.values.copy()
        values[swap] = np.where(values[swap] == yes, no, yes)
        return Predictions(values, predictions.probabilities, predictions.classes)
    deviation = np.sqrt(loss * float(np.var(truth)))
    return Predictions(predictions.values + generator.normal(scale=deviation, size=len(truth)), None)


def verdicts(metric: str, model: str, rows: int, seeds: int) -> Iterator[dict[float, Verdict]]:
    """Per seed, the verdict on each candidate, by how much worse it is; 0 is the retrained model."""
    gate, estimator = GATES[metric], models(metric)[model]
    for seed in range(seeds):
        truth, champion, candidate = pair(estimator, rows, metric, seed)
        generator = np.random.default_rng([seed, rows, 1])
        yield {
            loss: judge(gate, truth=truth, candidate=worsened(candidate, truth, loss, generator), champion=champion)
            for loss in (0.0, *LOSSES)
        }


def main() -> None:
    """Print a row per model and number of rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--metric", choices=GATES, default="balanced_accuracy")
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--rows", nargs="+", type=int, default=SIZES)
    given = parser.parse_args()
    lost = " | ".join(f"{loss:g} worse: does not pass" for loss in LOSSES)
    print(f"| model | rows | held out | margin | retrained: passes | {lost} |")
    print("|---|---|---|---|---|" + "---|" * len(LOSSES))
    for model in given.models or models(given.metric):
        for rows in given.rows:
            found = list(verdicts(given.metric, model, rows, given.seeds))
            retrained = [each[0.0] for each in found]
            cells = [
                f"{np.mean([v.rows for v in retrained]):.0f}",
                f"{np.mean([v.margin or 0 for v in retrained]):.3f}",
                f"{np.mean([v.passed for v in retrained]):.0%}",
                *(f"{np.mean([not each[loss].passed for each in found]):.0%}" for loss in LOSSES),
            ]
            print(f"| {model} | {rows} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
