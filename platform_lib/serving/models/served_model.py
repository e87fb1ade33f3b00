"""The version that serves, and the loader's state for `/model`."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from platform_lib.model.artifact import LoadedModel, Predictions
from platform_lib.model.probe_rows import Predict
from platform_lib.model.profile import Profile
from platform_lib.model.reference_answers import ReferenceAnswers
from platform_lib.names import MODEL_LOOKUP
from platform_lib.serving.fastpath.selection import NOT_TRIED, Selection, prediction_function
from platform_lib.serving.models.service_time import ServiceTime
from platform_lib.serving.models.validation import Check
from platform_lib.serving.problems import Problem
from platform_lib.serving.protocols.codec import ContractDecoders


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedModel:
    """A loaded and validated version, with everything a request needs."""

    model: LoadedModel
    tags: dict[str, str]
    example: dict[str, Any]
    """One valid row."""
    example_prediction: Predictions
    """The prediction for `example`, shape (1,)."""
    predicts_made_up_row: bool = True
    """Whether it predicts a row that only the columns' types decide; not if it refuses unknown categories."""
    profile: Profile | None
    """Bins of the training rows; None if the artifact has none."""
    since: datetime
    """When it was loaded, UTC."""
    reference_answers: ReferenceAnswers | None = None
    """Predictions for real rows, made by the training process; None if the artifact has none."""
    notes: tuple[str, ...] = ()
    """Differences from training, and a signature that does not hold, if they do not prevent serving; one sentence
    each."""
    signed_by: str | None = None
    """Who signed its files, verified; None if that was not verified."""
    selection: Selection = NOT_TRIED
    """Its fast path, if it has one."""
    service_time: ServiceTime | None = None
    """Expected prediction time; None if not measured, which counts as slow."""
    features: tuple[str, ...] = field(init=False, repr=False)
    """The contract's features; a copy, because the contract computes them on each access."""
    decoders: ContractDecoders = field(init=False, repr=False)
    """Decoders for request bodies, compiled for the contract."""
    predict: Predict = field(init=False, repr=False)
    """Predicts from checked columns: by the fast path if there is one, otherwise by the pipeline."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "predict", prediction_function(self.model, self.selection))
        object.__setattr__(self, "features", self.model.contract.features)
        object.__setattr__(self, "decoders", ContractDecoders(self.model.contract))


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """A version that was refused."""

    version: str
    check: Check
    """The check that it failed."""
    reason: str
    at: datetime
    """UTC."""


@dataclass(kw_only=True)
class LoaderState:
    """The loader's state. Only the loader's thread writes it, one assignment at a time, so readers need no lock."""

    reference: str
    alias: str | None
    current: ServedModel | None = None
    rejected: dict[str, Rejection] = field(default_factory=dict)
    """The latest rejection by version."""
    registry_error: str | None = None
    """Why the last poll failed; None if it succeeded."""
    waiting_for: str = MODEL_LOOKUP
    """Why no version serves yet."""
    has_nothing_to_serve: bool = False
    """Whether the registry has said that no version was promoted yet, now or before."""


class Source(Protocol):
    """Provides the version that serves. `loader.ModelLoader` implements it for a registry."""

    @property
    def state(self) -> LoaderState:
        """Details for `/model`."""

    @property
    def current(self) -> ServedModel | None:
        """The version that serves now; None until one is loaded."""


def ready_model(source: Source) -> ServedModel:
    """Return the version that serves now.

    Raises:
        Problem: 503 with the reason, if no version serves yet.
    """
    served = source.current
    if served is None:
        raise Problem(
            503,
            f"{source.state.reference} is not served yet: {public_reason(source.state.waiting_for)}",
            headers={"Retry-After": "2"},
        )
    return served


def public_reason(reason: str) -> str:
    """Shorten a reason for callers without admin rights: after a colon may follow a path or a library's message."""
    short, colon, _ = reason.partition(": ")
    return f"{short}; GET /model tells admins why." if colon else reason
