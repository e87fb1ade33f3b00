"""Which registered versions were trained on a table, read from the local store without MLflow."""

import json
import sqlite3
from contextlib import closing

from platform_lib.errors import ServiceError
from platform_lib.names import VersionTag
from platform_lib.registry.client import database_path
from platform_lib.settings import Project, is_local_registry
from platform_lib.storage_errors import storage_error


def trained_on(project: Project, uri: str, table: str) -> str | None:
    """The versions in the project's own store that were trained on a table, as text; reads SQLite, not MLflow.

    Args:
        project: Names the model and the database, which `mlp up` serves, too.
        uri: Of the registry in use. Another registry is not asked: it may have versions, which the text says.
        table: Name of the table. A version without a verdict counts as trained on it.
    Returns:
        Such as `churn version 7 and 6 more`; None if there is no version.
    Raises:
        ServiceError: The database cannot be read.
    """
    if not is_local_registry(project, uri):
        return f"a version in {uri}"
    database = database_path(uri) or project.database
    if not database.is_file():
        return None
    query = (
        "SELECT versions.version, tags.value FROM model_versions AS versions LEFT JOIN model_version_tags AS tags "
        "ON tags.name = versions.name AND tags.version = versions.version AND tags.key = ? "
        "WHERE versions.name = ? AND versions.current_stage != 'Deleted_Internal' ORDER BY versions.version DESC"
    )
    try:
        with closing(sqlite3.connect(database, timeout=30)) as connection:
            rows = connection.execute(query, (VersionTag.GATE, project.name)).fetchall()
    except sqlite3.Error as err:
        raise storage_error(err, database) or ServiceError(f"cannot read the store {database}: {err}.") from err
    found = [f"{project.name} version {version}" for version, gate in rows if _table_of(gate) in (None, table)]
    if len(found) < 2:
        return found[0] if found else None
    return f"{found[0]} and {len(found) - 1} more"


def _table_of(gate: str | None) -> str | None:
    try:
        verdict = json.loads(gate or "")
    except ValueError:
        return None
    return verdict.get("data") if isinstance(verdict, dict) else None
