"""What people should know about a model that was just trained: columns it ignores, and a score that is too good."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from platform_lib.boosters.estimators import TREES
from platform_lib.data.splits import key_columns, row_hashes
from platform_lib.metrics import METRICS, score
from platform_lib.metrics.weighting import MetricUndefined
from platform_lib.model.artifact import predict
from platform_lib.training.boosters.choice import boosters_in

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from platform_lib.training.config.schema import TrainConfig
    from platform_lib.training.evaluation import Evaluation
    from platform_lib.training.steps import Rows

_TOO_GOOD = {"classification": ("balanced_accuracy", 0.995), "regression": ("r2", 0.999)}
_ROWS = 1000


def training_notices(
    pipeline: "Pipeline", rows: "Rows", evaluation: "Evaluation", config: "TrainConfig"
) -> tuple[str, ...]:
    """Describe what deserves a look, one sentence each.

    Args:
        pipeline: Fitted.
        rows: The held-out rows.
        evaluation: Of the pipeline on these rows.
        config: The run's configuration.
    """
    found = []
    if unused := sorted(set(_unused_columns(pipeline, set(config.data.features)))):
        listed = ", ".join(map(repr, unused))
        found.append(
            f"The model does not use {listed}, which features.py adds: standard_features takes the columns of the "
            f"contract. Pass {'it' if len(unused) == 1 else 'them'} with standard_features(config.data, "
            "new_numbers=[...], new_categories=[...], **config.features)."
        )
    found += [
        f"The model has all {booster.n_trees_} trees that model.params.n_estimators allows, and the last ones still "
        "made it better: raise n_estimators, or learning_rate."
        for booster in boosters_in(pipeline)
        if booster.n_inner_rows_ and booster.n_trees_ >= (booster.params or {}).get("n_estimators", TREES)
    ]
    name, limit = _TOO_GOOD[config.data.task]
    if evaluation.metrics.get(name, 0.0) >= limit:
        column = _strongest(pipeline, rows, name)
        told = f", and most of it comes from {column!r}" if column else ""
        found.append(
            f"A {name} of {evaluation.metrics[name]:.4g} is seldom honest{told}: check that every feature is known "
            f"before the target {config.data.target!r} is, and leave out what is not."
        )
    return tuple(found)


def key_notices(table: "pd.DataFrame", config: "TrainConfig") -> tuple[str, ...]:
    """Warn about a key of an earlier version that contains the target, if that makes the held-out score wrong.

    Args:
        table: All rows.
        config: The run's configuration.
    """
    contract = config.data
    if config.split.method != "hash" or contract.target not in key_columns(contract):
        return ()

    def distinct(names: Iterable[str]) -> int:
        columns = ((table[name], contract.columns[name]) for name in names)
        return len(np.unique(row_hashes(columns, len(table), "")))

    mixed = distinct([*contract.features, contract.target]) - distinct(contract.features)
    if not mixed:
        return ()
    return (
        f"The held-out score is wrong: the key of conf/data/{contract.name}.yaml contains the target "
        f"{contract.target!r}, and rows with equal features have different targets, so they are separated by their "
        "target. Import the table again with --replace --new-key.",
    )


def _unused_columns(fitted: Any, known: set[str]) -> Iterator[str]:
    """Columns that a part of the pipeline gets and drops, and that are not in the contract."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import FeatureUnion, Pipeline

    if isinstance(fitted, ColumnTransformer):
        names = [str(name) for name in getattr(fitted, "feature_names_in_", ())]
        used: set[int] = set()
        for _, member, columns in fitted.transformers_:
            if not (isinstance(member, str) and member == "drop"):
                used |= set(_positions(columns, names))
            if not isinstance(member, str):
                yield from _unused_columns(member, known)
        yield from (name for place, name in enumerate(names) if place not in used and name not in known)
    elif isinstance(fitted, Pipeline):
        for _, step in fitted.steps:
            yield from _unused_columns(step, known)
    elif isinstance(fitted, FeatureUnion):
        for _, member in fitted.transformer_list:
            yield from _unused_columns(member, known)


def _positions(columns: Any, names: list[str]) -> list[int]:
    if isinstance(columns, slice):
        return list(range(len(names)))[columns] if not isinstance(columns.start, str) else list(range(len(names)))
    entries = [columns] if isinstance(columns, str | int) else list(columns)
    if entries and all(isinstance(entry, bool | np.bool_) for entry in entries):
        return [place for place, is_selected in enumerate(entries) if is_selected]
    return [names.index(str(entry)) if isinstance(entry, str) else int(entry) for entry in entries]


def _strongest(pipeline: "Pipeline", rows: "Rows", metric: str) -> str | None:
    """The column whose values matter most: the score falls furthest when they are shuffled."""
    generator = np.random.default_rng(0)
    chosen = generator.permutation(len(rows))[:_ROWS]
    frame, truth = rows.frame.iloc[chosen], rows.truth[chosen]
    sign = 1 if METRICS[metric].greater_is_better else -1
    falls: dict[str, float] = {}
    try:
        full = score(metric, truth, predict(pipeline, frame))
        for name in frame.columns:
            shuffled = frame.copy()
            shuffled[name] = frame[name].to_numpy()[generator.permutation(len(frame))]
            falls[str(name)] = sign * (full - score(metric, truth, predict(pipeline, shuffled)))
    except MetricUndefined:
        return None
    best = max(falls, key=lambda name: falls[name])
    return best if falls[best] > 0.5 * sum(max(fall, 0.0) for fall in falls.values()) > 0 else None
