"""Fit and predict with LightGBM. A model is stored as its text format, which LightGBM's own parser reads."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.boosters.problem import Fitted, Predict, Problem, Rows, fewest_trees
from platform_lib.errors import UsageError


def fit(problem: Problem) -> Fitted:
    """Fit with LightGBM, reproducibly for any number of threads.

    Raises:
        UsageError: LightGBM does not know a parameter.
    """
    import lightgbm

    if unknown := sorted(problem.params.keys() - _known_parameters()):
        raise UsageError(f"LightGBM has no parameter {unknown[0]!r}. Correct it in conf/model.")

    settings: dict[str, Any] = {
        "verbosity": -1,
        "deterministic": True,
        "random_state": problem.seed,
        "n_jobs": problem.threads,
        **problem.params,
    }
    if not {"force_row_wise", "force_col_wise"} & problem.params.keys():
        settings["force_row_wise"] = True  # otherwise it measures which is faster, and results depend on that
    kind = lightgbm.LGBMClassifier if problem.classes else lightgbm.LGBMRegressor
    estimator = kind(**settings)
    inner = problem.inner
    early: dict[str, Any] = {}
    if inner is not None:
        early = {
            **_evaluated(inner),
            "eval_sample_weight": None if inner.weights is None else [inner.weights],
            "callbacks": [lightgbm.early_stopping(problem.patience, first_metric_only=True, verbose=False)],
        }
    estimator.fit(
        problem.rows.block,
        problem.rows.target,
        sample_weight=problem.rows.weights,
        categorical_feature=list(problem.categorical) or "auto",
        **early,
    )
    booster = estimator.booster_
    if inner is None:
        return Fitted(booster.model_to_string(num_iteration=-1).encode(), int(booster.current_iteration()))
    losses = next(iter(next(iter(estimator.evals_result_.values())).values()))
    is_loss = "metric" not in problem.params
    return Fitted(b"", fewest_trees(losses, problem.classes) if is_loss else int(estimator.best_iteration_))


def predictor(model: bytes, classes: int, categorical: tuple[int, ...]) -> Predict:
    """The predictions of a stored model, with one thread."""
    del categorical  # they are part of the model
    import lightgbm

    booster = lightgbm.Booster(model_str=model.decode())

    def predict(block: NDArray[np.float64]) -> NDArray[np.float64]:
        raw = np.asarray(booster.predict(block, num_threads=1), dtype=np.float64)
        return np.column_stack([1 - raw, raw]) if classes == 2 else raw

    return predict


def _known_parameters() -> set[str]:
    """Every parameter and alias: LightGBM only logs those that it does not know."""
    import lightgbm

    aliases = lightgbm.basic._ConfigAliases._get_all_param_aliases()  # noqa: SLF001  no public function lists them
    return {*aliases, *(name for names in aliases.values() for name in names), *lightgbm.LGBMModel().get_params()}


def _evaluated(inner: Rows) -> dict[str, Any]:
    """The inner rows by the names of the installed release: 4.7 deprecates `eval_set`."""
    from inspect import signature

    import lightgbm

    if "eval_X" in signature(lightgbm.LGBMClassifier.fit).parameters:
        return {"eval_X": inner.block, "eval_y": inner.target}
    return {"eval_set": [(inner.block, inner.target)]}
