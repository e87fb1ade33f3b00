"""Promote what passed the gate on a registry where training itself does not: automatic only if its rights allow it."""

from dataclasses import replace

from platform_lib.errors import PlatformError
from platform_lib.registry.reference import Reference
from platform_lib.registry.versions import Registry
from platform_lib.training.steps import TrainingResult


def promote_passed(registry: Registry, result: TrainingResult) -> TrainingResult:
    """Make a version that passed the gate the champion, unless it is already.

    Args:
        registry: That holds the version.
        result: Of its training.
    Returns:
        The result with `promoted`; if the registry refuses, unchanged but for a notice that says why.
    """
    if result.promoted or not result.passed:
        return result
    try:
        registry.promote(registry.resolve(Reference(result.name, version=result.version)))
    except PlatformError as err:
        return replace(result, notices=(*result.notices, f"The registry did not allow the promotion: {err}"))
    return replace(result, promoted=True)
