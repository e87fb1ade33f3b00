"""Check the local store: whether its database is whole, and whether the versions in use have their files."""

import importlib.util
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from platform_lib.errors import StorageError
from platform_lib.findings import Finding, ok, problem
from platform_lib.names import Alias, ArtifactFile, VersionTag
from platform_lib.registry.approval import refusal
from platform_lib.registry.files import local_path
from platform_lib.registry.store import ARTIFACTS
from platform_lib.storage_errors import damaged, foreign, storage_error

AREA = "registry"
BUSY_TIMEOUT_S = 5.0
_ROOT = f"/.mlp/{ARTIFACTS}/"
_REVISION = re.compile(r"""^(down_)?revision\s*(?::[^=]+)?=\s*["'](\w+)["']""", re.MULTILINE)
_SERVING = (Alias.CHAMPION, Alias.CANARY, Alias.SHADOW)
_ALIASES = """
SELECT a.name, a.alias, a.version, v.source, v.current_stage
FROM registered_model_aliases a LEFT JOIN model_versions v ON v.name = a.name AND v.version = a.version
ORDER BY a.name, a.alias
"""


def examine_store(database: Path) -> list[Finding]:
    """Check a store without changing it: its file, its schema, its aliases, and the files of the versions they name."""
    if not database.exists():
        return [ok(AREA, "no local store yet; the first `mlp train` creates it.")]
    try:
        # `immutable` is not set: it would read around the locks of others.
        with closing(
            sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
        ) as store:
            return list(_examine(store, database))
    except (sqlite3.Error, OSError) as err:
        known = storage_error(err, database)
        return [_finding(known) if known else problem(AREA, f"{database} cannot be read: {err}.")]


def _examine(store: sqlite3.Connection, database: Path) -> Iterator[Finding]:
    if wrong := [str(row[0]) for row in store.execute("PRAGMA quick_check(3)") if row[0] != "ok"]:
        yield _finding(damaged(str(database), "; ".join(wrong), database))
        return
    tables = {str(row[0]) for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if lacking := {"alembic_version", "experiments", "model_versions", "registered_model_aliases"} - tables:
        yield _finding(foreign(str(database), f"no such table: {', '.join(sorted(lacking))}", database))
        return
    if (wrong_schema := _check_schema(store, database)) is not None:
        yield wrong_schema
        return
    found = []
    versions = 0
    for name, alias, version, source, stage in store.execute(_ALIASES).fetchall():
        title = f"{name} version {version}, its {alias}"
        if source is None or stage == "Deleted_Internal":
            remedy = f"Run `mlp promote {name}/VERSION` with a version that `mlp models` lists."
            found.append(problem(AREA, f"the alias {alias} of {name} names version {version}, which is gone.", remedy))
            continue
        versions += 1
        tags = _tags(store, name, version)
        if alias in _SERVING and (reason := refusal(name, str(version), tags, alias)) is not None:
            found.append(problem(AREA, f"the {alias} does not serve: {reason}", f"`mlp models show {name}/{version}`"))
        if (reason := _wrong_files(store, database, tags, source)) is not None:
            found.append(
                problem(
                    AREA,
                    f"{title}: {reason}.",
                    f"Restore the folder from a backup, promote another version, or train again: "
                    f"`mlp reproduce {name}/{version}` repeats its training.",
                )
            )
    yield from found
    if not found:
        files = f"the files of {versions} version{'' if versions == 1 else 's'} in use match their hashes"
        yield ok(AREA, f"{database.name} is whole{f', and {files}' if versions else ''}.")


def _finding(err: StorageError) -> Finding:
    return problem(AREA, err.problem, err.remedy)


def _check_schema(store: sqlite3.Connection, database: Path) -> Finding | None:
    row = store.execute("SELECT version_num FROM alembic_version").fetchone()
    known, head = _mlflow_revisions()
    if head is None or (row is not None and row[0] == head):
        return None
    if row is None:
        return problem(
            AREA,
            f"{database} lacks the version of its schema, so MLflow refuses it.",
            "If it was recovered from a damaged file of the installed MLflow, run "
            f"`sqlite3 {database} \"INSERT INTO alembic_version VALUES ('{head}')\"`.",
        )
    if row[0] in known:
        return problem(
            AREA,
            f"{database} was created by an older version of MLflow (schema {row[0]}, expected {head}).",
            f"Back up the file, then run `mlflow db upgrade sqlite:///{database.as_posix()}`.",
        )
    return problem(
        AREA,
        f"{database} was created by a newer version of MLflow (schema {row[0]}, the installed one knows {head}).",
        "Install the versions of the lock file with `make setup`.",
    )


def _mlflow_revisions() -> tuple[set[str], str | None]:
    """All schema revisions of the installed MLflow, and the latest: from its migrations, since importing MLflow takes
    seconds. Empty where it is not installed."""
    spec = importlib.util.find_spec("mlflow")
    folders = list(spec.submodule_search_locations or []) if spec else []
    revisions: set[str] = set()
    replaced: set[str] = set()
    for folder in folders:
        for file in (Path(folder) / "store" / "db_migrations" / "versions").glob("*.py"):
            for is_earlier, revision in _REVISION.findall(file.read_text(encoding="utf-8")):
                (replaced if is_earlier else revisions).add(revision)
    heads = revisions - replaced
    return revisions, heads.pop() if len(heads) == 1 else None


def _tags(store: sqlite3.Connection, name: str, version: int) -> dict[str, str]:
    query = "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?"
    return {str(key): str(value or "") for key, value in store.execute(query, (name, version))}


def _wrong_files(store: sqlite3.Connection, database: Path, tags: dict[str, str], source: str) -> str | None:
    """What is wrong with a version's files; None if nothing is, or if they are not on this machine."""
    folder = _folder(store, database, source)
    registered = tags.get(VersionTag.MODEL_SHA256)
    if folder is None or registered is None:
        return None
    model = folder / ArtifactFile.MODEL
    if not model.is_file():
        return f"{model} is missing"
    try:
        from platform_lib.model.artifact import file_sha256, files_sha256
    except ImportError:  # `mlp doctor` reports the libraries that are missing
        return None
    if file_sha256(model) != registered:
        return f"{model} is not the registered file; its SHA-256 differs"
    if (others := tags.get(VersionTag.FILES_SHA256)) and files_sha256(folder) != others:
        return f"contract, profile, card or answers in {folder} are not the registered ones; their SHA-256 differs"
    return None


def _folder(store: sqlite3.Connection, database: Path, source: str) -> Path | None:
    if source.startswith("models:/"):
        row = store.execute(
            "SELECT artifact_location FROM logged_models WHERE model_id = ?",
            (source.removeprefix("models:/").strip("/"),),
        ).fetchone()
        source = str(row[0]) if row else ""
    _, found, inside = source.partition(_ROOT)
    if found:  # the project may have been moved since; the next command that opens the store notices
        return database.parent / ARTIFACTS / inside
    return local_path(source) if source else None
