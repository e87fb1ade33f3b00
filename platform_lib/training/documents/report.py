"""The report of a version: collect what it shows, store it with the run, write it to a file."""

import dataclasses
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_lib.data.contract import library_message
from platform_lib.errors import NotFound, PlatformError
from platform_lib.files import write_atomically
from platform_lib.model.profile import Profile, parse_profile
from platform_lib.names import ArtifactFile, VersionTag
from platform_lib.registry.client import mlflow_errors
from platform_lib.registry.reference import Reference
from platform_lib.report import REPORT_FILE
from platform_lib.report.content import Compared, ReportContent
from platform_lib.report.page import render
from platform_lib.training.inspection import Inspected, differences, flat_settings, inspect_version

if TYPE_CHECKING:
    from platform_lib.registry.model_files import ModelContent
    from platform_lib.registry.reference import VersionRecord
    from platform_lib.registry.versions import Registry
    from platform_lib.training.evaluation import Evaluation
    from platform_lib.training.plan import TrainingPlan


def report_content(
    version: Inspected,
    *,
    profile: Profile | None,
    compared: Compared | None,
    notices: tuple[str, ...] = (),
) -> ReportContent:
    """Collect what the report of a version shows.

    Args:
        version: Its record, files and run.
        profile: Of its training rows; None if there is none.
        compared: Another version, to compare with.
        notices: What people should know about it.
    """
    record = version.record
    return ReportContent(
        name=record.name,
        version=record.version,
        estimator=record.tags.get(VersionTag.ESTIMATOR, ""),
        choice=record.tags.get(VersionTag.MODEL, ""),
        roles=record.aliases,
        trained_at=record.created_at,
        verdict=record.verdict,
        evaluation=version.evaluation,
        diagnostics=version.diagnostics,
        contract=version.contract,
        profile=profile,
        settings=flat_settings(version.config),
        origin=version.origin,
        compared=compared,
        notices=notices,
        card=version.card,
    )


def compared_with(version: Inspected, other: Inspected, label: str) -> Compared:
    """What the report of `version` says about the other one."""
    found = differences(other, version)
    return Compared(
        label=label,
        estimator=other.record.tags.get(VersionTag.ESTIMATOR, ""),
        evaluation=other.evaluation,
        same_table=other.origin.data_hash == version.origin.data_hash,
        differences={"Configuration": found.config, "Columns": found.columns},
    )


def champion_then(registry: "Registry", version: Inspected) -> Compared | None:
    """The champion that the gate compared a version with; None if there was none, or it is gone."""
    number = (version.record.verdict or {}).get("champion_version")
    if not number:
        return None
    with suppress(PlatformError):
        other = inspect_version(registry, registry.resolve(Reference(version.record.name, version=str(number))))
        return compared_with(version, other, f"version {number}, the champion then")
    return None


def keep_report(
    plan: "TrainingPlan",
    record: "VersionRecord",
    content: "ModelContent",
    evaluation: "Evaluation",
    notices: tuple[str, ...],
) -> tuple[str, ...]:
    """Store the report of a training with its run. Returns why not, if that fails; the version is there anyway."""
    import msgspec
    import yaml

    from platform_lib.training.diagnostics.store import load_diagnostics

    version = Inspected(
        record=dataclasses.replace(record, aliases=()),  # they move, and the report stays
        contract=content.contract,
        config=yaml.safe_load(plan.config_yaml),
        evaluation=msgspec.to_builtins(evaluation),
        diagnostics=load_diagnostics(plan.registry, record.run_id),
        origin=plan.origin,
        card=content.card,
    )
    try:
        report = report_content(
            version,
            profile=parse_profile(content.profile),
            compared=champion_then(plan.champions, version),
            notices=notices,
        )
        store_report(plan.registry, record.run_id, report)
    except Exception as err:
        reason = library_message(err, content.contract)
        return (f"The report was not stored ({type(err).__name__}: {reason}); `mlp report` makes one.",)
    return ()


def store_report(registry: "Registry", run_id: str, content: ReportContent) -> None:
    """Store the report as an artifact of the run.

    Raises:
        ServiceError: The registry does not take it.
    """
    page = render(content)
    with mlflow_errors(registry.uri):
        registry.client.log_text(run_id, page, REPORT_FILE)


def write_report(
    registry: "Registry", record: "VersionRecord", target: Path, *, compare: "VersionRecord | None" = None
) -> Path:
    """Write the report of a version to a file.

    Args:
        registry: Of the version.
        record: The version.
        target: HTML file, replaced when the new one is complete.
        compare: The version to compare with; None is the champion that the gate compared it with, if any.
    Raises:
        UsageError: This library did not register one of the versions.
        ServiceError: The registry, or the file, cannot be used.
    """
    version = inspect_version(registry, record)
    if compare is None:
        compared = champion_then(registry, version)
    else:
        label = f"version {compare.version}" if compare.name == record.name else f"{compare.name} {compare.version}"
        compared = compared_with(version, inspect_version(registry, compare), label)
    content = report_content(
        version,
        profile=_profile(registry.folder(record)),
        compared=compared,
    )
    page = render(content)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, page)
    return target


def _profile(folder: Path) -> Profile | None:
    try:
        values: Mapping[str, Any] = json.loads((folder / ArtifactFile.PROFILE).read_text(encoding="utf-8"))
        return parse_profile(dict(values))
    except (OSError, ValueError, NotFound):
        return None
