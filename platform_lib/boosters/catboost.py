"""Fit and predict with CatBoost. A model is stored in its binary format, which CatBoost's own parser reads."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.boosters.problem import Fitted, Predict, Problem, Rows, fewest_trees

_MISSING = b"missing"


def fit(problem: Problem) -> Fitted:
    """Fit with CatBoost, which writes no files and prints nothing."""
    import catboost

    settings: dict[str, Any] = {
        "random_seed": problem.seed,
        "thread_count": problem.threads,
        "allow_writing_files": False,
        "verbose": False,
        **problem.params,
    }
    kind = catboost.CatBoostClassifier if problem.classes else catboost.CatBoostRegressor
    estimator = kind(**settings)
    inner = problem.inner
    early = (
        {}
        if inner is None
        else {
            "eval_set": _pool(inner, problem.categorical),
            "early_stopping_rounds": problem.patience,
            "use_best_model": True,
        }
    )
    estimator.fit(_pool(problem.rows, problem.categorical), **early)
    if inner is not None:
        losses = next(iter(estimator.get_evals_result()["validation"].values()))
        is_loss = "eval_metric" not in problem.params
        return Fitted(b"", fewest_trees(losses, problem.classes) if is_loss else int(estimator.tree_count_))
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "model.cbm"
        estimator.save_model(str(file))
        return Fitted(file.read_bytes(), int(estimator.tree_count_))


def predictor(model: bytes, classes: int, categorical: tuple[int, ...]) -> Predict:
    """The predictions of a stored model, with one thread."""
    import catboost

    estimator = catboost.CatBoostClassifier() if classes else catboost.CatBoostRegressor()
    estimator.load_model(blob=model)

    def predict(block: NDArray[np.float64]) -> NDArray[np.float64]:
        data = _features(block, categorical)
        raw = estimator.predict_proba(data, thread_count=1) if classes else estimator.predict(data, thread_count=1)
        return np.asarray(raw, dtype=np.float64)

    return predict


def _pool(rows: Rows, categorical: tuple[int, ...]) -> Any:
    import catboost

    return catboost.Pool(_features(rows.block, categorical), label=rows.target, weight=rows.weights)


def _features(block: NDArray[np.float64], categorical: tuple[int, ...]) -> Any:
    """The block as CatBoost takes it: numbers first, then categories as texts."""
    if not categorical:
        return block
    import catboost

    chosen = set(categorical)
    numbers = block[:, [place for place in range(block.shape[1]) if place not in chosen]].astype(np.float32)
    texts = np.empty((len(block), len(categorical)), dtype=object)
    for place, column in enumerate(categorical):
        texts[:, place] = [_MISSING if value != value else b"%d" % value for value in block[:, column].tolist()]
    return catboost.FeaturesData(num_feature_data=numbers if numbers.shape[1] else None, cat_feature_data=texts)
