"""The local store: one SQLite file and a folder of artifacts, which may be moved with the project."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from platform_lib.errors import ServiceError, StorageError
from platform_lib.registry.client import database_path, quiet_third_parties
from platform_lib.settings import Project
from platform_lib.storage_errors import storage_error

if TYPE_CHECKING:
    from filelock import FileLock

ARTIFACTS = "artifacts"
LOCK_TIMEOUT_S = 120.0
BUSY_TIMEOUT_S = 30.0
"""How long to wait for another process's transaction."""

# Columns of MLflow's tables with URIs of files in the artifact folder.
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


def ensure_store(project: Project, uri: str) -> None:
    """Create the local database at `uri` if it does not exist, once, even if several processes start together."""
    del project  # the artifacts are next to the database
    if (database := database_path(uri)) is not None:
        ensure_database(database)


def store_lock(database: Path) -> "FileLock":
    """The lock for creating and moving a local store, and for promotions in it."""
    from filelock import FileLock

    return FileLock(f"{database}.lock", timeout=LOCK_TIMEOUT_S)


def ensure_database(database: Path) -> None:
    """Create the database and the artifact folder, or update its URIs after the folder was moved or copied."""
    from filelock import Timeout

    artifacts = database.parent / ARTIFACTS
    if database.is_file() and _moved_from(database, artifacts) is None:
        return
    try:
        artifacts.mkdir(parents=True, exist_ok=True)
        with store_lock(database):
            if not database.is_file():
                _create(database, artifacts)
            elif (old := _moved_from(database, artifacts)) is not None:
                _relocate(database, old, artifacts)
    except Timeout as err:
        raise StorageError(
            f"{database}.lock is held by another process for over {LOCK_TIMEOUT_S:.0f} s. Nothing is lost.",
            "Wait until the other `mlp` ends, then run the command again.",
        ) from err
    except Exception as err:  # MLflow wraps what SQLite raises
        if (known := storage_error(err, database)) is not None:
            raise known from err
        if isinstance(err, OSError | sqlite3.Error):
            raise ServiceError(f"cannot create the store {database}: {err}.") from err
        raise


def _create(database: Path, artifacts: Path) -> None:
    """Migrations take a second and break when two processes run them: they go into a temporary file that is complete
    when it gets its name."""
    quiet_third_parties()
    import logging

    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    new = database.with_name(f"{database.name}.new")
    for leftover in database.parent.glob(f"{new.name}*"):
        leftover.unlink()
    try:
        store = SqlAlchemyStore(f"sqlite:///{new.as_posix()}", artifacts.absolute().as_uri())
        store.engine.dispose()
        new.replace(database)
    finally:
        for leftover in database.parent.glob(f"{new.name}*"):
            leftover.unlink()


def _moved_from(database: Path, artifacts: Path) -> str | None:
    """The artifact URI in the database, if this library created it and the folder was moved since."""
    try:
        with closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT_S)) as connection:
            row = connection.execute("SELECT artifact_location FROM experiments WHERE experiment_id = 0").fetchone()
    except sqlite3.Error as err:
        raise storage_error(err, database) or ServiceError(f"the store {database} cannot be read: {err}.") from err
    if row is None:
        return None
    root = str(row[0]).removesuffix("/0")
    is_ours = root.startswith("file:") and root.endswith(f"/.mlp/{ARTIFACTS}")
    return root if is_ours and root != artifacts.absolute().as_uri() else None


def _relocate(database: Path, old: str, artifacts: Path) -> None:
    new = artifacts.absolute().as_uri()
    with closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT_S)) as connection, connection:
        for table, column in _ADDRESSES:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                (new, len(old) + 1, len(old) + 1, f"{old}/"),
            )
