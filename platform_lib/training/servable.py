"""Check, right after fitting, that a pipeline can be stored and served: before anything else is computed with it."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from platform_lib.errors import CheckFailed, PlatformError
from platform_lib.model.artifact import Predictions, predict
from platform_lib.model.trust import check_types

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

ROWS = 20
_LIBRARIES = ("sklearn", "lightgbm", "xgboost", "catboost")
_STORABLE = "A model file holds numbers, texts, NumPy arrays, lists, and dictionaries whose keys are texts"


def check_servable(
    pipeline: "Pipeline", frame: pd.DataFrame, *, package: str | None, trusted_types: tuple[str, ...] = ()
) -> None:
    """Check that a fitted pipeline can be stored, answers one row alone, and answers each row by itself.

    Args:
        pipeline: Fitted.
        frame: Rows that it can predict, shape (n, features), n ≥ 1; the first 20 are used.
        package: The project's package, whose types the model may contain.
        trusted_types: From `[tool.mlp]`.
    Raises:
        CheckFailed: The pipeline fails one of the checks; names the step, the attribute or the row.
    """
    _check_storable(pipeline, package=package, trusted_types=trusted_types)
    _check_rows(pipeline, frame.head(ROWS))


def _check_storable(pipeline: "Pipeline", *, package: str | None, trusted_types: tuple[str, ...]) -> None:
    import skops.io

    for name, step in pipeline.steps:
        # Estimators of these libraries can be stored, and may be large.
        if name == "model" and _is_storable(step) and not _has_parts(step):
            continue
        try:
            with tempfile.TemporaryDirectory() as scratch:
                path = Path(scratch) / "model.skops"
                skops.io.dump(step, path)
                trusted = check_types(path, package=package, trusted_types=trusted_types)
                skops.io.load(path, trusted=trusted)
        except (PlatformError, OSError):
            raise
        except Exception as err:
            where = _culprit(step) or f"the step {type(step).__name__}"
            raise CheckFailed(
                f"the model cannot be stored: {where} cannot be written to a model file ({type(err).__name__}: "
                f"{err!s:.200}). {_STORABLE}."
            ) from err


def _is_storable(step: Any) -> bool:
    module = type(step).__module__
    return module.split(".")[0] in _LIBRARIES or module == "platform_lib.boosters.estimators"


def _has_parts(step: Any) -> bool:
    return any(hasattr(value, "get_params") or callable(value) for value in step.get_params(deep=False).values())


def _culprit(part: Any, depth: int = 0) -> str | None:
    """The innermost estimator and attribute that cannot be stored."""
    if depth > 8:
        return None
    members = vars(part).items() if hasattr(part, "__dict__") else ()
    for name, value in members:
        if _can_be_stored(value):
            continue
        for inner in value if isinstance(value, list | tuple) else [value]:
            estimators = [item for item in (inner if isinstance(inner, tuple) else (inner,)) if hasattr(item, "fit")]
            for estimator in estimators:
                if found := _culprit(estimator, depth + 1):
                    return found
        return f"`{name}` of {type(part).__name__}, a {type(value).__module__}.{type(value).__qualname__},"
    return None


def _can_be_stored(value: Any) -> bool:
    import skops.io

    try:
        stored = skops.io.dumps(value)
        skops.io.loads(stored, trusted=skops.io.get_untrusted_types(data=stored))
    except Exception:
        return False
    return True


def _check_rows(pipeline: "Pipeline", frame: pd.DataFrame) -> None:
    together = predict(pipeline, frame)
    for row in range(len(frame)):
        try:
            alone = predict(pipeline, frame.iloc[[row]])
        except Exception as err:
            raise CheckFailed(
                f"the model predicts {len(frame)} rows together, but row {row} alone fails, and a server gets single "
                f"rows: {type(err).__name__}: {err!s:.300} A step must learn in `fit` what it needs of other rows."
            ) from err
        if not _is_same(together, row, alone):
            raise CheckFailed(
                f"the prediction for row {row} depends on the other rows of a batch: with them it is "
                f"{_text(together, row)}, alone {_text(alone, 0)}. A server combines the rows of several callers, so "
                "a step must learn in `fit` what it needs of other rows, and apply it to each row by itself."
            )


def _is_same(together: Predictions, row: int, alone: Predictions) -> bool:
    if together.probabilities is not None and alone.probabilities is not None:
        return bool(np.allclose(together.probabilities[row], alone.probabilities[0], rtol=1e-6, atol=1e-9))
    one, other = together.values[row], alone.values[0]
    if isinstance(one, float | np.floating):
        return bool(np.isclose(one, other, rtol=1e-6, atol=1e-9))
    return bool(one == other)


def _text(predictions: Predictions, row: int) -> str:
    if predictions.probabilities is None:
        return f"{predictions.values[row]}"
    return f"{predictions.values[row]} ({float(predictions.probabilities[row].max()):.4g})"
