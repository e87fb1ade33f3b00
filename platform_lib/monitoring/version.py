"""Find the version to report on, with what was recorded when it was trained."""

from platform_lib.errors import UsageError
from platform_lib.metrics import metric_named
from platform_lib.metrics.configured import configure_metrics
from platform_lib.metrics.own import load_own_metrics
from platform_lib.model.artifact import read_profile
from platform_lib.model.profile import parse_profile
from platform_lib.monitoring.content import Monitored
from platform_lib.monitoring.held_out.reference import read_reference
from platform_lib.registry.loading import open_registry
from platform_lib.registry.reference import parse_reference
from platform_lib.settings import Project, Settings
from platform_lib.training.inspection import inspect_version

_DEFAULT_METRICS = {"regression": "r2", "classification": "balanced_accuracy"}


def monitored_version(project: Project, settings: Settings, reference: str | None, metric: str | None) -> Monitored:
    """Read a version's profile, contract and held-out score from the registry.

    Args:
        project: Names the default model and holds metrics of its own.
        settings: Name the registry.
        reference: `NAME@alias`, `NAME/7`, `@alias` or `7`; None is the project's champion.
        metric: Of the live score; None is the gate's metric when the version was trained.
    Raises:
        NotFound: There is no such version.
        UsageError: The version has no profile, or the metric does not fit its task.
    """
    registry = open_registry(project, settings)
    record = registry.resolve(parse_reference(reference, project.name))
    inspected = inspect_version(registry, record)
    profile = read_profile(registry.folder(record))
    if not profile:
        raise UsageError(
            f"{record.name} version {record.version} has no profile.json, so there is nothing to compare with: train "
            "it with this library."
        )
    load_own_metrics(project)
    parameters = inspected.config.get("metrics") or {}
    configure_metrics(costs=parameters.get("costs"), quantile=parameters.get("quantile"))
    task = inspected.contract.task
    name = metric or inspected.config.get("gate", {}).get("metric") or _DEFAULT_METRICS[task]
    metric_named(name, task)
    values = inspected.evaluation.get("metrics", {})
    errors = inspected.evaluation.get("standard_errors", {})
    return Monitored(
        model=record.name,
        version=record.version,
        profile=parse_profile(profile),
        contract=inspected.contract,
        metric=name,
        reference=read_reference(registry, record.run_id, inspected.contract),
        held_out=(values[name], errors.get(name, 0.0)) if name in values else None,
    )
