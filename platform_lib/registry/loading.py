"""Load a model by reference, for notebooks, batch prediction and the gate. `artifact` checks and opens the files."""

import logging

from platform_lib.errors import CheckFailed
from platform_lib.local_login import log_in_to_mlflow
from platform_lib.model.artifact import LoadedModel, load_artifact
from platform_lib.model.signing.verification import check_signature
from platform_lib.registry.approval import refusal
from platform_lib.registry.reference import VersionRecord, parse_reference
from platform_lib.registry.signing import signature_policy
from platform_lib.registry.versions import Registry
from platform_lib.settings import Project, Settings, find_project, load_settings, tracking_uri
from platform_lib.user_code import make_importable

log = logging.getLogger("platform_lib.registry")


def open_registry(project: Project, settings: Settings) -> Registry:
    """Open the registry that the project uses: of the environment, the local platform, or the local store, created if
    needed."""
    uri = tracking_uri(project, settings)
    log_in_to_mlflow(project, uri)
    return Registry(uri)


def load_model(reference: str | None = None, project: Project | None = None) -> LoadedModel:
    """Load a registered version, also one that the gate refused: to study it is no reason to promote it.

    Args:
        reference: `NAME@champion`, `NAME/7`, `@candidate`, `7`; None is the project's champion.
        project: None is the project that contains the working directory.
    Raises:
        NotFound: The version does not exist; the message lists those that do.
        UntrustedModel: The file is not the registered one, or contains a type that is not trusted.
    """
    project = project or find_project()
    registry = open_registry(project, load_settings())
    return load_record(registry, registry.resolve(parse_reference(reference, project.name)), project)


def load_approved(reference: str | None, project: Project) -> LoadedModel:
    """Load a registered version to act on its predictions: as `load_model`, but only if the gate accepted it.

    Raises:
        CheckFailed: It did not pass the gate, and nobody overrode the gate; the message says how.
    """
    registry = open_registry(project, load_settings())
    wanted = parse_reference(reference, project.name)
    record = registry.resolve(wanted)
    if reason := refusal(record.name, record.version, record.tags, wanted.alias):
        raise CheckFailed(reason)
    return load_record(registry, record, project)


def load_record(registry: Registry, record: VersionRecord, project: Project) -> LoadedModel:
    """Load a resolved version, signed as the settings require, with the types that the project trusts."""
    make_importable(project)
    folder = registry.folder(record)
    check_signature(folder, record.name, record.version, signature_policy(project, load_settings()), warn=log.warning)
    return load_artifact(
        folder,
        name=record.name,
        version=record.version,
        sha256=record.sha256,
        package=project.package,
        trusted_types=project.trusted_types,
        others_sha256=record.files_sha256,
    )
