"""Files of the request log: their schema and place, how they are written and read.

`log_writer` decides when, `request_log` what; `log_merging` makes few files of many.
"""

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

PREDICTIONS = "predictions"
LABELS = "labels"
FIXED = ("request_id", "row", "time", "model", "version", "key_name", "latency_ms", "prediction", "probabilities")
"""Columns of every file; a table's column of such a name is logged as `feature_<name>`."""

REPLACES = b"mlp.replaces"
"""In a merged file's metadata: JSON list of the names of the files that it stands for."""
MERGED = "merged-"
"""How the name of a merged file begins."""
ATTEMPTS = 5
"""How often a reader looks anew when files are merged while it looks."""

_TYPES = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "datetime": pa.string(),
}
_TIME = pa.timestamp("us", tz="UTC")


def logged_name(column: str) -> str:
    """The name under which a table's column stands in the log."""
    return f"feature_{column}" if column in FIXED else column


def prediction_schema(columns: dict[str, str], task: str) -> pa.Schema:
    """Schema of a prediction file.

    Args:
        columns: Contract type per logged column.
        task: Decides the type of `prediction`: text for classes, so that it is the same whatever a class is; a number for regression.
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
    """A request log's place: a local folder or `s3://bucket/prefix`."""

    filesystem: fs.FileSystem
    path: str

    @staticmethod
    def at(uri: str) -> "LogFolder":
        """Open a folder by path or URI; S3 credentials and `AWS_ENDPOINT_URL` come from the environment.

        Raises:
            UsageError: The URI's scheme is not known.
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
            raise UsageError(f"the request log's place is {uri!r}, expected a folder or s3://bucket/prefix.")
        local = uri.removeprefix("file://")
        return LogFolder(fs.LocalFileSystem(), os.path.abspath(local).replace(os.sep, "/"))  # noqa: PTH100 (a URI's path)

    def write(self, kind: str, table: pa.Table, moment: datetime, sequence: int) -> str:
        """Write one file, whole or not at all; returns its path. Its name is unique over hosts, processes and restarts."""
        folder = f"{self.path}/{kind}/date={moment.date().isoformat()}"
        name = f"{moment:%Y%m%dT%H%M%S%f}-{socket.gethostname()}-{os.getpid()}-{sequence}.parquet"
        return self.put(table, folder, name)

    def put(self, table: pa.Table, folder: str, name: str) -> str:
        """Write a table as one file, whole or not at all; returns its path."""
        target = f"{folder}/{name}"
        if isinstance(self.filesystem, fs.S3FileSystem):
            pq.write_table(table, target, filesystem=self.filesystem, compression="zstd")  # an object appears whole
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
        """Paths of the finished files of a kind, oldest first; all from before a merge that runs meanwhile, or all from after it.

        Raises:
            FileNotFoundError: They are merged again and again.
        """
        found = self._listed(kind)
        for _ in range(ATTEMPTS):
            # A folder is not listed in one moment: a merged file may come behind where the listing is, and go before it what that stands for.
            before, found = found, self._listed(kind)
            if before <= found and not any(file.rsplit("/", 1)[1].startswith(MERGED) for file in found - before):
                return sorted(found)
        raise FileNotFoundError(f"files in {self.path} are merged again and again")

    def _listed(self, kind: str) -> set[str]:
        infos = self.filesystem.get_file_info(
            fs.FileSelector(f"{self.path}/{kind}", recursive=True, allow_not_found=True)
        )
        return {info.path for info in infos if info.type == fs.FileType.File and info.base_name.endswith(".parquet")}

    def schemas(self, files: Sequence[str]) -> dict[str, pa.Schema]:
        """The schema of each file.

        Raises:
            FileNotFoundError: A merge has taken one away since they were listed, so that others of them may be gone soon: list them anew.
        """
        return {file: pq.read_schema(file, filesystem=self.filesystem) for file in files}

    def read(self, kind: str, *, columns: Sequence[str] | None = None, since: datetime | None = None) -> pa.Table:
        """All rows of a kind in the order of time, over all versions, each once: a column that a version lacks is null there.

        A column that has been retyped is a number where it was whole and other numbers, and text otherwise.

        Args:
            since: Rows before it are left out, UTC; files of days before it are not read.
        Raises:
            NotFound: Nothing is logged there since then.
            ServiceError: The files cannot be read.
        """
        for _ in range(ATTEMPTS):
            try:
                schemas = self.schemas(
                    [file for file in self.files(kind) if since is None or _day(file) >= since.date().isoformat()]
                )
                if not schemas:
                    raise NotFound(
                        f"no {kind} are logged in {self.path}; a server writes them there when its log is on (`mlp serve --log`)."
                    )
                gone = replaced_files(schemas)
                table = self.read_files({file: schema for file, schema in schemas.items() if file not in gone}, columns)
                if since is not None:
                    import pyarrow.compute as pc  # not for the writer, whose memory counts

                    table = table.filter(pc.greater_equal(table["time"], pa.scalar(since, _TIME)))
                return table.sort_by("time")
            except FileNotFoundError:
                continue  # merged meanwhile: what is there now is looked up anew
            except (OSError, pa.ArrowException) as err:
                raise ServiceError(f"cannot read the request log in {self.path}: {err}") from err
        raise ServiceError(
            f"cannot read the request log in {self.path}: its files are merged again and again while they are read."
        )

    def read_files(self, schemas: Mapping[str, pa.Schema], columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of some files as one table."""
        whole = common_schema(list(schemas.values()))
        wanted = whole if columns is None else pa.schema([whole.field(name) for name in columns])
        parts = []
        for file, schema in schemas.items():
            # pyarrow would read `date=` in the path as a column.
            table = pq.read_table(
                file,
                columns=[name for name in wanted.names if name in schema.names],
                filesystem=self.filesystem,
                partitioning=None,
            )
            parts.append(
                pa.table(
                    [
                        table[f.name].cast(f.type) if f.name in table.column_names else pa.nulls(len(table), f.type)
                        for f in wanted
                    ],
                    schema=wanted,
                )
            )
        return pa.concat_tables(parts)


def _day(file: str) -> str:
    """Of the folder that a file lies in, ISO 8601: the day on which it was written, so that no row in it is younger."""
    return file.rsplit("/", 2)[1].removeprefix("date=")


def replaced_files(schemas: Mapping[str, pa.Schema]) -> set[str]:
    """Files whose rows stand in a merged one too: left there by a merge that is under way, or that was broken off."""
    merged = {file: names for file, schema in schemas.items() if (names := replaced_names(schema))}
    gone = {f"{file.rsplit('/', 1)[0]}/{name}" for file, names in merged.items() for name in names}
    # Two merges at once: the one that began later has seen all that the other has, and more.
    for file, names in merged.items():
        gone |= {
            other
            for other, others in merged.items()
            if other.rsplit("/", 1)[0] == file.rsplit("/", 1)[0] and others < names
        }
    return gone


def replaced_names(schema: pa.Schema) -> frozenset[str]:
    """Names of the files, in the same folder, that a merged file stands for; none for a file that a server wrote."""
    return frozenset(json.loads((schema.metadata or {}).get(REPLACES, b"[]")))


def common_schema(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """One schema for files of different versions: all their columns, each of a type that holds the values of all."""
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
