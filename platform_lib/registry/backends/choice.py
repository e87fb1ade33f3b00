"""Choose the backend of a tracking URI: directly if possible, else through MLflow."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from platform_lib.registry.backends.base import Backend
from platform_lib.registry.client import database_path

if TYPE_CHECKING:
    from mlflow import MlflowClient


def open_backend(uri: str, client: "Callable[[], MlflowClient]") -> Backend:
    """Open the store at `uri`.

    Args:
        uri: Of the store; a local file exists.
        client: Connects with MLflow's client; called only if nothing lighter fits.
    """
    from platform_lib.registry.backends.sqlite import SqliteBackend, is_known_store

    database = database_path(uri)
    if database is not None and "?" not in uri and is_known_store(database):
        return SqliteBackend(database)
    if uri.startswith(("http:", "https:")):
        from platform_lib.registry.backends.rest import RestBackend, is_plain_server

        if is_plain_server(uri):
            return RestBackend(uri)
    from platform_lib.registry.backends.through_mlflow import MlflowBackend

    return MlflowBackend(client(), uri)
