"""The version that answers, and what a server says of the versions it knows. `loader` brings them, `handler` asks them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from platform_lib.model.artifact import LoadedModel, Predictions
from platform_lib.model.probe_rows import Predict
from platform_lib.model.profile import Profile
from platform_lib.model.reference_answers import ReferenceAnswers
from platform_lib.serving.fastpath.selection import NOT_TRIED, Selection, prediction_function
from platform_lib.serving.models.service_time import ServiceTime
from platform_lib.serving.models.validation import Check
from platform_lib.serving.problems import Problem
from platform_lib.serving.protocols.row_decoder import RowDecoder
from platform_lib.serving.protocols.tensor_decoder import TensorDecoder


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedModel:
    """The version that answers now."""

    model: LoadedModel
    tags: dict[str, str]
    example: dict[str, Any]
    """One row that it takes."""
    sample: Predictions
    """Its answer to the example."""
    profile: Profile | None
    """Bins of the rows it was trained on; None where they were not kept."""
    since: datetime
    """UTC."""
    samples: ReferenceAnswers | None = None
    """What the training process answered to real rows; None where it was not kept."""
    notes: tuple[str, ...] = ()
    """What differs from training, in words."""
    selection: Selection = NOT_TRIED
    """Its fast path, if it has one."""
    service_time: ServiceTime | None = None
    """How long it takes; None where it was not measured, which is taken for long."""
    features: tuple[str, ...] = field(init=False, repr=False)
    """The contract's, which would look for them anew each time."""
    row_decoders: dict[str, RowDecoder] = field(init=False, repr=False)
    """Decoders of bodies whose rows lie under that key."""
    tensor_decoder: TensorDecoder = field(init=False, repr=False)

    predict: Predict = field(init=False, repr=False)
    """Answers checked columns, by the fast path where there is one."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "predict", prediction_function(self.model, self.selection))
        object.__setattr__(self, "features", self.model.contract.features)
        object.__setattr__(
            self, "row_decoders", {key: RowDecoder(self.model.contract, key) for key in ("rows", "dataframe_records")}
        )
        object.__setattr__(self, "tensor_decoder", TensorDecoder(self.model.contract))


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """A version that was not taken."""

    version: str
    check: Check
    """What it failed on."""
    reason: str
    at: datetime
    """UTC."""


@dataclass(kw_only=True)
class LoaderState:
    """What the server says of itself. Written by the loader's thread alone, one assignment at a time."""

    reference: str
    alias: str | None
    current: ServedModel | None = None
    rejected: dict[str, Rejection] = field(default_factory=dict)
    registry_error: str | None = None
    """Why the last look failed; None when it went well."""
    waiting_for: str = "the model is being looked up."
    """Why nothing is served yet."""


class Source(Protocol):
    """Where the model comes from; `ModelLoader` is the one that follows a registry."""

    @property
    def state(self) -> LoaderState: ...

    @property
    def current(self) -> ServedModel | None: ...


def ready_model(source: Source) -> ServedModel:
    """The version that answers now.

    Raises:
        Problem: 503; says why there is none.
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
    """A reason as everybody may read it: what follows a colon may hold a path or another program's words."""
    short, colon, _ = reason.partition(": ")
    return f"{short}; GET /model tells admins why." if colon else reason
