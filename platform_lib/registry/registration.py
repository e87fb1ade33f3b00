"""Register a fitted pipeline as a version, atomically: an interruption leaves no incomplete version."""

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from platform_lib.model.signing.bundle import sign_folder
from platform_lib.model.signing.signers import signer_text
from platform_lib.names import Alias, VersionTag
from platform_lib.registry.client import as_current_store, mlflow_errors
from platform_lib.registry.model_files import ModelContent, write_model
from platform_lib.registry.override import who_acts
from platform_lib.registry.unfinished import discard

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from mlflow import MlflowClient


def register(
    client: "MlflowClient",
    uri: str,
    name: str,
    content: ModelContent,
    *,
    run_id: str,
    tags: dict[str, str],
    passed: bool,
    key: "EllipticCurvePrivateKey | None" = None,
    description: str = "",
) -> str:
    """Register a version; see `versions.Registry.register`. Returns its number."""
    with mlflow_errors(uri):
        # A retried step finds the version that its first attempt created before the connection broke.
        made = client.search_model_versions(f"name='{name}' and run_id='{run_id}'")
        version = str(made[0].version) if made else None
    if version is None:
        model_id, hashes = _log_model(client, uri, name, content, run_id, key)
        version = _make_version(client, uri, name, model_id, run_id, tags | hashes, description)
    if passed:
        with mlflow_errors(uri):
            client.set_registered_model_alias(name, Alias.CANDIDATE, version)
    return version


def _log_model(
    client: "MlflowClient",
    uri: str,
    name: str,
    content: ModelContent,
    run_id: str,
    key: "EllipticCurvePrivateKey | None",
) -> tuple[str, dict[str, str]]:
    """Store the files as a logged model of the run; returns its id and the tags with the files' hashes and signer."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    with mlflow_errors(uri):
        experiment = client.get_run(run_id).info.experiment_id
        logged = client.create_logged_model(
            experiment, name=name, source_run_id=run_id, model_type=content.contract.task
        )
    try:
        with tempfile.TemporaryDirectory(prefix="mlp-model-") as scratch:
            folder = Path(scratch) / "model"
            identity = Model(
                artifact_path=logged.artifact_location,
                model_uuid=logged.model_id,
                run_id=run_id,
                model_id=logged.model_id,
            )
            hashes = write_model(content, folder, identity)
            if key is not None:
                hashes[VersionTag.SIGNED_BY] = signer_text(who_acts(), sign_folder(folder, name, key))
            with mlflow_errors(uri):
                client.log_model_artifacts(logged.model_id, str(folder))
        with mlflow_errors(uri):
            client.finalize_logged_model(logged.model_id, "READY")
            client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
    except BaseException:
        with suppress(Exception):  # report the first failure; the next training removes what is left
            discard(client, logged)
        raise
    return str(logged.model_id), hashes


def _make_version(
    client: "MlflowClient", uri: str, name: str, model_id: str, run_id: str, tags: dict[str, str], description: str
) -> str:
    """Name the logged model as the next version, with all its tags in one step."""
    from mlflow.exceptions import MlflowException

    with mlflow_errors(uri), as_current_store(uri):
        try:
            client.create_registered_model(name)
        except MlflowException as err:
            if err.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return str(
            client.create_model_version(
                name,
                source=f"models:/{model_id}",
                run_id=run_id,
                tags=tags,
                model_id=model_id,
                description=description or None,
            ).version
        )
