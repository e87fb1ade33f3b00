"""Connect to MLflow quietly, with short timeouts; convert its errors; name the addresses of its pages."""

import logging
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from platform_lib.errors import ServiceError
from platform_lib.registry.backends.base import Backend, BackendError
from platform_lib.storage_errors import server_storage_error, storage_error

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL_TRAINING = "workflowType=machine_learning"
"""Part of the addresses of MLflow's pages; without it, MLflow shows those for language models."""

# Defaults where the environment sets nothing: no telemetry, and a server that does not answer is reported in seconds
# instead of minutes.
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def quiet_third_parties() -> None:
    """Turn off other tools' telemetry and output in this process and its children, unless the environment sets it."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)


def connect(uri: str) -> "MlflowClient":
    """Connect MLflow's client to the store at `uri`.

    Raises:
        ServiceError: The store cannot be opened.
    """
    quiet_third_parties()
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # It logs every error of the database with its SQL, and raises it as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    with mlflow_errors(uri):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def run_page(store: Backend, uri: str, run_id: str) -> str | None:
    """Address of a run in MLflow's pages, without a login; None if the store is a file, which has no pages."""
    if not run_id or not uri.startswith(("http:", "https:")):
        return None
    with mlflow_errors(uri):
        run = store.run(run_id)
    return (
        None if run is None else f"{uri.rstrip('/')}/#/experiments/{run.experiment_id}/runs/{run_id}?{MODEL_TRAINING}"
    )


def probe(uri: str) -> None:
    """Check that the server at `uri` answers; other URIs are not checked.

    Raises:
        ServiceError: It does not.
    """
    if not uri.startswith(("http:", "https:")):
        return
    import httpx

    remedy = "Is it running? `mlp up` starts a local one; unset MLFLOW_TRACKING_URI to work without a server."
    try:
        httpx.get(f"{uri.rstrip('/')}/health", timeout=5.0, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as err:
        raise ServiceError(f"the MLflow server {uri} does not answer ({type(err).__name__}). {remedy}") from err


@contextmanager
def mlflow_errors(uri: str) -> Iterator[None]:
    """Convert MLflow's errors to ServiceError with one sentence."""
    try:
        yield
    except (BackendError, sqlite3.Error, OSError) as err:
        raise _service_error(uri, err) from err
    except Exception as err:
        if not isinstance(err, _loaded("mlflow.exceptions", "MlflowException", "sqlalchemy.exc", "SQLAlchemyError")):
            raise
        raise _service_error(uri, err) from err


def _loaded(*names: str) -> tuple[type[BaseException], ...]:
    """Classes of modules, given in pairs. A module that was never imported has raised nothing."""
    pairs = zip(names[::2], names[1::2], strict=True)
    return tuple(getattr(sys.modules[module], name) for module, name in pairs if module in sys.modules)


def _service_error(uri: str, err: Exception) -> ServiceError:
    known = storage_error(err, database_path(uri) or uri)
    if known is None and uri.startswith(("http:", "https:")):
        known = server_storage_error(str(err), f"the MLflow server {uri}")
    return known or ServiceError(_sentence(uri, err))


def database_path(uri: str) -> Path | None:
    """The file of a `sqlite:` URI; None for other URIs."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(unquote(uri.removeprefix("sqlite:///").split("?")[0]))


def _sentence(uri: str, err: Exception) -> str:
    text = " ".join(str(err).split())
    code = getattr(err, "error_code", "")
    if "out-of-date database schema" in text:
        return (
            f"the store {uri} was created by another version of MLflow. Back up the file, then run `mlflow db "
            f"upgrade {uri}`."
        )
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED") or " 401" in text or " 403" in text:
        return (
            f"the MLflow server {uri} refused the request: {text:.200}. Are MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD (or a token) right?"
        )
    return f"the MLflow store {uri} failed: {text:.300}"


@contextmanager
def as_current_store(uri: str) -> Iterator[None]:
    """Make `uri` the process's store in a `with` block: MLflow looks models up in the current store when it creates a
    version."""
    import mlflow

    variable = os.environ.get("MLFLOW_TRACKING_URI")  # MLflow sets it with the store, and removes it without one
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None if before == variable else before)
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if variable is not None:
            os.environ["MLFLOW_TRACKING_URI"] = variable


def is_missing(err: Exception) -> bool:
    """Whether MLflow's error means that the object does not exist."""
    return getattr(err, "error_code", "") in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND") or "not found" in str(err).lower()
