"""Parquet files of the request log: schema, location, writing and reading."""

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from platform_lib.errors import NotFound, ServiceError, UsageError
from platform_lib.storage_errors import storage_error

PREDICTIONS = "predictions"
LABELS = "labels"
FIXED = ("request_id", "row", "time", "model", "version", "key_name", "latency_ms", "prediction", "probabilities")
"""Columns of every file. A feature with one of these names is logged as `feature_<name>`."""

REPLACES = b"mlp.replaces"
"""Metadata key of a merged file: JSON list of the names of the files that it replaces."""
MERGED = "merged-"
"""Prefix of a merged file's name."""
ATTEMPTS = 5
"""How often a reader lists the files again if they are merged meanwhile."""

_TYPES = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "datetime": pa.string(),
}
_TIME = pa.timestamp("us", tz="UTC")


def logged_name(column: str) -> str:
    """Return the name of a feature in the log."""
    return f"feature_{column}" if column in FIXED else column


def prediction_schema(columns: dict[str, str], task: str) -> pa.Schema:
    """Return the schema of a prediction file.

    Args:
        columns: Contract type by logged column.
        task: Decides the type of `prediction`: a float for regression, a string for classification, so that the type
            is the same for classes of any type.
    """
    return pa.schema(
        [
            ("request_id", pa.string()),
            ("row", pa.int32()),
            ("time", _TIME),
            ("model", pa.string()),
            ("version", pa.string()),
            ("key_name", pa.string()),
            ("latency_ms", pa.float64()),
            *((logged_name(name), _TYPES[kind]) for name, kind in columns.items()),
            ("prediction", pa.float64() if task == "regression" else pa.string()),
            ("probabilities", pa.map_(pa.string(), pa.float64())),
        ]
    )


LABEL_SCHEMA = pa.schema([("request_id", pa.string()), ("row", pa.int32()), ("time", _TIME), ("label", pa.string())])


@dataclass(frozen=True, slots=True)
class LogFolder:
    """Location of a request log: a local folder or `s3://bucket/prefix`."""

    filesystem: fs.FileSystem
    path: str

    @staticmethod
    def at(uri: str) -> "LogFolder":
        """Open a folder by path or URI. S3 credentials and `AWS_ENDPOINT_URL` come from the environment.

        Raises:
            UsageError: The URI's scheme is unknown.
        """
        if uri.startswith("s3://"):
            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            options: dict[str, Any] = {"connect_timeout": 5, "request_timeout": 20}
            if endpoint:
                scheme, _, host = endpoint.rpartition("://")
                options |= {"endpoint_override": host, "scheme": scheme or "https"}
            if region := os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
                options["region"] = region
            return LogFolder(fs.S3FileSystem(**options), uri.removeprefix("s3://").rstrip("/"))
        if "://" in uri and not uri.startswith("file://"):
            raise UsageError(f"the request log's location is {uri!r}, expected a folder or s3://bucket/prefix.")
        local = uri.removeprefix("file://")
        path = os.path.abspath(local).replace(os.sep, "/")  # noqa: PTH100 (a URI's path)
        return LogFolder(fs.LocalFileSystem(), path)

    def write(self, kind: str, table: pa.Table, moment: datetime, sequence: int) -> str:
        """Write one file atomically and return its path. Its name is unique over hosts, processes and restarts."""
        folder = f"{self.path}/{kind}/date={moment.date().isoformat()}"
        name = f"{moment:%Y%m%dT%H%M%S%f}-{socket.gethostname()}-{os.getpid()}-{sequence}.parquet"
        return self.put(table, folder, name)

    def put(self, table: pa.Table, folder: str, name: str) -> str:
        """Write a table as one file atomically and return its path."""
        target = f"{folder}/{name}"
        if isinstance(self.filesystem, fs.S3FileSystem):
            pq.write_table(table, target, filesystem=self.filesystem, compression="zstd")  # an object appears complete
            return target
        self.filesystem.create_dir(folder, recursive=True)
        # A leading underscore hides the unfinished file from every Parquet reader.
        unfinished = f"{folder}/_{name}.part"
        try:
            pq.write_table(table, unfinished, filesystem=self.filesystem, compression="zstd")
            self.filesystem.move(unfinished, target)
        except BaseException:
            if self.filesystem.get_file_info(unfinished).type != fs.FileType.NotFound:
                self.filesystem.delete_file(unfinished)
            raise
        return target

    def files(self, kind: str) -> list[str]:
        """Return the paths of a kind's complete files, oldest first: all before or all after any concurrent merge.

        Raises:
            FileNotFoundError: Merges kept changing the files.
        """
        found = self._listed(kind)
        for _ in range(ATTEMPTS):
            # Listing is not atomic: a merged file may appear behind the listing's position while the files that it
            # replaces disappear ahead of it.
            before, found = found, self._listed(kind)
            if before <= found and not any(file.rsplit("/", 1)[1].startswith(MERGED) for file in found - before):
                return sorted(found)
        raise FileNotFoundError(f"merges keep changing the files in {self.path}")

    def _listed(self, kind: str) -> set[str]:
        infos = self.filesystem.get_file_info(
            fs.FileSelector(f"{self.path}/{kind}", recursive=True, allow_not_found=True)
        )
        return {info.path for info in infos if info.type == fs.FileType.File and info.base_name.endswith(".parquet")}

    def schemas(self, files: Sequence[str]) -> dict[str, pa.Schema]:
        """Return the schema of each file.

        Raises:
            FileNotFoundError: A merge has deleted one since they were listed; list them again.
        """
        return {file: pq.read_schema(file, filesystem=self.filesystem) for file in files}

    def read(
        self, kind: str, *, columns: Sequence[str] | None = None, since: datetime | None = None, file_column: str = ""
    ) -> pa.Table:
        """Read all rows of a kind from all versions, ordered by time, each once.

        A column that a version lacks is null there. A column whose type changed between integer and number is a float,
        after any other change of type a string.

        Args:
            kind: `PREDICTIONS` or `LABELS`.
            columns: The columns to read; None for all.
            since: Earlier rows are left out, UTC; files of earlier days are not read.
            file_column: Name of an additional column with the file of each row, relative to the folder; empty for none.
        Raises:
            NotFound: No rows are logged since then.
            ServiceError: The files cannot be read.
        """
        for _ in range(ATTEMPTS):
            try:
                schemas = self.schemas(
                    [file for file in self.files(kind) if since is None or _day(file) >= since.date().isoformat()]
                )
                if not schemas:
                    raise NotFound(
                        f"no {kind} are logged in {self.path}; start the server with its log on (`mlp serve --log`)."
                    )
                replaced = replaced_files(schemas)
                table = self.read_files(
                    {file: schema for file, schema in schemas.items() if file not in replaced}, columns, file_column
                )
                if since is not None:
                    import pyarrow.compute as pc  # not at module level: the writer process must stay small

                    recent = pc.greater_equal(table["time"], pa.scalar(since, _TIME))
                    table = table if pc.all(recent).as_py() else table.filter(recent)  # a copy doubles the memory
                return table.sort_by("time")
            except FileNotFoundError:
                continue  # merged meanwhile: list the files again
            except (OSError, pa.ArrowException) as err:
                raise storage_error(err, file=self.path) or ServiceError(
                    f"cannot read the request log in {self.path}: {err}"
                ) from err
        raise ServiceError(
            f"cannot read the request log in {self.path}: merges keep changing its files while they are read."
        )

    def read_files(
        self, schemas: Mapping[str, pa.Schema], columns: Sequence[str] | None = None, file_column: str = ""
    ) -> pa.Table:
        """Read some files as one table, with the file of each row if `file_column` names a column for it."""
        schema_of_all = common_schema(list(schemas.values()))
        wanted = schema_of_all if columns is None else pa.schema([schema_of_all.field(name) for name in columns])
        parts = []
        for file, schema in schemas.items():
            # With partitioning, pyarrow would read `date=` in the path as a column.
            table = pq.read_table(
                file,
                columns=[name for name in wanted.names if name in schema.names],
                filesystem=self.filesystem,
                partitioning=None,
            )
            part = pa.table(
                [
                    table[f.name].cast(f.type) if f.name in table.column_names else pa.nulls(len(table), f.type)
                    for f in wanted
                ],
                schema=wanted,
            )
            if file_column:
                part = part.append_column(file_column, pa.repeat(file.removeprefix(f"{self.path}/"), len(part)))
            parts.append(part)
        return pa.concat_tables(parts)


def _day(file: str) -> str:
    """Return the day in the path of a file, ISO 8601: when it was written, so no row in it is newer."""
    return file.rsplit("/", 2)[1].removeprefix("date=")


def replaced_files(schemas: Mapping[str, pa.Schema]) -> set[str]:
    """Return the files whose rows are also in a merged file: a merge is in progress or was interrupted."""
    merged = {file: names for file, schema in schemas.items() if (names := replaced_names(schema))}
    replaced = {f"{file.rsplit('/', 1)[0]}/{name}" for file, names in merged.items() for name in names}
    # Two concurrent merges: the later one has replaced all files of the other one, and more.
    for file, names in merged.items():
        replaced |= {
            other
            for other, others in merged.items()
            if other.rsplit("/", 1)[0] == file.rsplit("/", 1)[0] and others < names
        }
    return replaced


def replaced_names(schema: pa.Schema) -> frozenset[str]:
    """Return the names of the files in the same folder that a merged file replaces; empty for a server's file."""
    return frozenset(json.loads((schema.metadata or {}).get(REPLACES, b"[]")))


def common_schema(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Return one schema for files of different versions: all columns, each with a type that fits every file."""
    types: dict[str, set[pa.DataType]] = {}
    for schema in schemas:
        for field in schema:
            types.setdefault(field.name, set()).add(field.type)
    return pa.schema([(name, _common_type(found)) for name, found in types.items()])


def _common_type(types: set[pa.DataType]) -> pa.DataType:
    if len(types) == 1:
        return next(iter(types))
    return (
        pa.float64() if all(pa.types.is_integer(each) or pa.types.is_floating(each) for each in types) else pa.string()
    )
