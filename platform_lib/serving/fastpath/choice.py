"""Decide for one version whether its fast path is used: made, proven equal on rows, and not switched off. Says why where it is not."""

import logging
from dataclasses import dataclass

from platform_lib.artifact import LoadedModel
from platform_lib.profile import Profile
from platform_lib.sample_answers import SampleAnswers
from platform_lib.serving.decoding import Row, rows_of
from platform_lib.serving.fastpath.blocks import NotCovered
from platform_lib.serving.fastpath.parity import check_rows, difference
from platform_lib.serving.fastpath.plan import FastPath, plan

log = logging.getLogger("platform_lib.serving")


@dataclass(frozen=True, slots=True)
class Choice:
    """What was decided."""

    fast: FastPath | None
    reason: str | None
    """Why there is no fast path; None where there is one."""
    is_mismatch: bool = False
    """Whether it was made, but answered otherwise than the pipeline: a bug of ours, or of what the model was trained with."""


NOT_TRIED = Choice(None, "it was not tried.")


def choose(model: LoadedModel, example: Row, profile: Profile | None, samples: SampleAnswers | None = None) -> Choice:
    """Make the fast path of a version and prove it.

    Args:
        example: A row that it takes.
        profile: Of its training rows; gives honest rows to compare on.
        samples: Real rows, which training kept.
    """
    try:
        fast = plan(model.pipeline, model.contract)
    except NotCovered as why:
        return Choice(None, f"{why}.")
    except Exception as err:  # of a library whose inside is another one than ours was written for
        log.warning("version %s of %s has no fast path", model.version, model.name, exc_info=err)
        return Choice(None, f"it could not be made ({type(err).__name__}).")
    rows = check_rows(model.contract, example, profile) + (rows_of(samples.rows, model.contract) if samples else [])
    found = difference(model.predict, fast.predict, rows, model.contract)
    if found is None:
        return Choice(fast, None)
    log.warning("version %s of %s is answered by scikit-learn alone, since its fast path answers otherwise: %s", model.version, model.name, found)
    return Choice(None, f"it answers otherwise than the pipeline: {found}.", is_mismatch=True)
