"""Decide for one version whether its fast path is used: made, proven equal on rows, and not switched off. Says why where it is not."""

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
    """What was decided."""

    fast: FastPath | None
    reason: str | None
    """Why there is no fast path; None where there is one."""
    is_mismatch: bool = False
    """Whether it was made, but answered otherwise than the pipeline: a bug of ours, or of what the model was trained with."""


def prediction_function(model: LoadedModel, selection: Selection) -> Predict:
    """How a version answers checked columns: by its fast path where there is one, else by the pipeline.

    What the fast path refuses, the pipeline has the last word on.
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
    samples: ReferenceAnswers | None = None,
    *,
    same_libraries: bool = False,
) -> Selection:
    """Make the fast path of a version and prove it.

    Where the libraries are those of training, it is compared with what the pipeline answered there: the pipeline need not be asked here, nor pandas
    be imported. Otherwise, or where that comparison fails, it is compared with the pipeline itself.

    Args:
        example: A row that it takes.
        profile: Of its training rows; gives honest rows to compare on.
        samples: Real rows, and what training answered to them and to check rows.
        same_libraries: Whether all that the model was made with is here in the same version.
    """
    try:
        fast = plan(model.pipeline, model.contract)
    except NotCovered as why:
        return Selection(None, f"{why}.")
    except Exception as err:  # of a library whose inside is another one than ours was written for
        log.warning("version %s of %s has no fast path", model.version, model.name, exc_info=err)
        return Selection(None, f"it could not be made ({type(err).__name__}).")
    if same_libraries and not fast.ordinary and samples is not None:
        kept = stored_probe_answers(samples, model.contract, profile)
        if kept is not None and difference_from(kept[1], fast.predict, kept[0], model.contract) is None:
            return Selection(fast, None)
    rows = probe_rows(model.contract, example, profile) + (rows_of(samples.rows, model.contract) if samples else [])
    found = difference(model.predict, fast.predict, rows, model.contract)
    if found is None:
        return Selection(fast, None)
    log.warning(
        "version %s of %s is answered by scikit-learn alone, since its fast path answers otherwise: %s",
        model.version,
        model.name,
        found,
    )
    return Selection(None, f"it answers otherwise than the pipeline: {found}.", is_mismatch=True)
