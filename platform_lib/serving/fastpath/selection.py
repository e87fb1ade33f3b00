"""Decide for one version whether its fast path is used, and say why if not."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from platform_lib.data.rows import Row, rows_of
from platform_lib.model.artifact import LoadedModel, Predictions
from platform_lib.model.probe_rows import Predict, probe_rows
from platform_lib.model.profile import Profile
from platform_lib.model.reference_answers import ReferenceAnswers, stored_probe_answers
from platform_lib.serving.fastpath.blocks import NotCovered
from platform_lib.serving.fastpath.parity import difference, difference_from
from platform_lib.serving.fastpath.plan import FastPath, plan

log = logging.getLogger("platform_lib.serving")


@dataclass(frozen=True, slots=True)
class Selection:
    """The decision."""

    fast: FastPath | None
    reason: str | None
    """Why there is no fast path; None if there is one."""


def prediction_function(model: LoadedModel, selection: Selection) -> Predict:
    """Return how a version predicts checked columns: by its fast path if it has one, otherwise by the pipeline.

    If the fast path raises, the pipeline predicts, and what the pipeline raises reaches the caller.
    """
    if selection.fast is None:
        return model.predict
    fast = selection.fast.predict

    def predict(columns: Mapping[str, Sequence[Any]]) -> Predictions:
        try:
            return fast(columns)
        except Exception:
            log.debug("the fast path of version %s refuses rows", model.version, exc_info=True)
        return model.predict(columns)

    return predict


NOT_TRIED = Selection(None, "it was not tried.")


def select_fast_path(
    model: LoadedModel,
    example: Row,
    profile: Profile | None,
    reference: ReferenceAnswers | None = None,
    *,
    same_libraries: bool = False,
) -> Selection:
    """Build the fast path of a version and compare it with the pipeline.

    If the libraries are those of training, the fast path is compared with the predictions that the pipeline made there,
    so the pipeline need not run here and pandas need not be imported. Otherwise, or if that comparison fails, it is
    compared with the pipeline itself.

    Args:
        model: The loaded version.
        example: A valid row, values in the order of the contract's features.
        profile: Profile of the training rows, from which realistic probe rows are drawn.
        reference: Training's predictions for real rows and for probe rows.
        same_libraries: Whether every library has the same version as in training.
    """
    contract = model.contract
    try:
        fast = plan(model.pipeline, contract)
    except NotCovered as why:
        return Selection(None, f"{why}.")
    except Exception as err:  # a library whose internals differ from those that the families expect
        log.warning("version %s of %s has no fast path", model.version, model.name, exc_info=err)
        return Selection(None, f"it could not be built ({type(err).__name__}).")
    if same_libraries and not fast.by_scikit_learn and reference is not None:
        stored = stored_probe_answers(reference, contract, profile)
        if stored is not None and difference_from(stored[1], fast.predict, stored[0], contract) is None:
            return Selection(fast, None)
    rows = probe_rows(contract, example, profile) + (rows_of(reference.rows, contract) if reference else [])
    found = difference(model.predict, fast.predict, rows, contract)
    if found is None:
        return Selection(fast, None)
    log.warning(
        "the pipeline alone serves version %s of %s, because its fast path differs: %s",
        model.version,
        model.name,
        found,
    )
    return Selection(None, f"it differs from the pipeline: {found}.")
