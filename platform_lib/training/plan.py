"""What a training needs, collected and checked before it starts."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from platform_lib import lineage
from platform_lib.errors import CheckFailed
from platform_lib.lineage import Lineage
from platform_lib.model.card import CARD_PATH, NEEDED_WHEN_SHARED, ModelCard, read_card
from platform_lib.registry.loading import open_registry
from platform_lib.registry.signing import signing_key
from platform_lib.registry.versions import Registry
from platform_lib.settings import Project, Settings, is_local_registry

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from platform_lib.training.config.schema import TrainConfig

Progress = Callable[[str], AbstractContextManager[None]]


def silent(text: str) -> AbstractContextManager[None]:
    """Progress that shows nothing, for callers without a terminal."""
    del text
    return nullcontext()


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRequest:
    """The options of one training."""

    overrides: tuple[str, ...] = ()
    """Overrides of the configuration in Hydra's grammar, such as `model=forest`."""
    promote: bool = True
    """Promote a version that passes the gate. On a shared registry, promotion is always a separate step."""
    allow_dirty: bool = False
    """Allow uncommitted changes on a shared registry."""
    registers: bool = True
    """Whether a version is registered; if not, a shared registry asks for no model card."""
    new_baseline: bool = False
    """Compare with neither the champion nor the best score ever promoted: only the thresholds decide."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Further tags of the version, such as why it was trained."""
    champion_registry: str | None = None
    """Address of the registry whose champion is compared with; None is the one that the version is registered in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingPlan:
    """A training that may start: everything that can be checked beforehand was."""

    project: Project
    registry: Registry
    champions: Registry
    """Its champion is compared with; another registry than `registry` only if the request says so."""
    request: TrainingRequest
    config: "TrainConfig"
    config_yaml: str
    """The whole configuration as YAML; see `compose`."""
    choices: dict[str, str]
    """The choice made in each Hydra group, such as `{"model": "forest"}`."""
    origin: Lineage
    is_local: bool
    """The registry belongs to this project alone."""
    card: ModelCard
    """The model card of what is registered."""
    key: "EllipticCurvePrivateKey | None" = field(default=None, repr=False)
    """Signs the version; None leaves it unsigned."""


def prepare(project: Project, settings: Settings, request: TrainingRequest, flow_run: str = "") -> TrainingPlan:
    """Compose the configuration, collect the lineage and connect to the registry.

    Args:
        project: To train.
        settings: Name the registry.
        request: The options.
        flow_run: Id of the Prefect flow run that trains; empty without Prefect.
    Raises:
        UsageError: The configuration does not compose, or the model card or the signing key cannot be used.
        CheckFailed: No commit, data hash or lock; or a dirty tree or an incomplete model card on a shared registry.
        ServiceError: The registry does not answer.
    """
    from platform_lib.training.config.compose import compose

    composed = compose(project, list(request.overrides))
    card = read_card(project)
    origin = lineage.collect(project, composed.config.data, composed.resolved_yaml, flow_run)
    registry = open_registry(project, settings)
    is_local = is_local_registry(project, registry.uri)
    if origin.dirty and not is_local and not request.allow_dirty:
        raise CheckFailed(
            f"the working tree differs from commit {origin.git_commit[:8]}: {', '.join(origin.dirty_files[:5])}. "
            f"{registry.uri} is shared, and nobody else could reproduce this model. Commit first, or use --allow-dirty."
        )
    missing = [name for name in NEEDED_WHEN_SHARED if name in card.missing()]
    if missing and request.registers and not is_local:
        raise CheckFailed(
            f"{CARD_PATH} has no {' and no '.join(missing)}. {registry.uri} is shared, and others must know who "
            f"answers for a model and what it is for. Add {', '.join(f'`{name}: …`' for name in missing)} to the file "
            "and commit it."
        )
    return TrainingPlan(
        project=project,
        registry=registry,
        champions=Registry(request.champion_registry) if request.champion_registry else registry,
        request=request,
        config=composed.config,
        config_yaml=composed.resolved_yaml,
        choices=composed.choices,
        origin=origin,
        is_local=is_local,
        card=card,
        key=signing_key(settings),
    )
