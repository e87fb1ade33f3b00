"""The data contract: a table's columns, their types and limits, as reviewed in `conf/data/<name>.yaml`.

Reads and writes contracts, and checks the rows of a request against one. `quality` checks whole tables.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from platform_lib.data.files.formats import PLAIN, CsvFormat, Reading
from platform_lib.data.written_categories import check_categories
from platform_lib.errors import UsageError

ColumnType = Literal["integer", "number", "boolean", "string", "datetime"]
Task = Literal["classification", "regression"]
Repeats = Literal["together", "separate"]

LARGEST_NUMBER = 1e30
"""Largest absolute value of a number in a request. Trees compute in float32, which ends at 3.4e38, and scaling may
make a number larger."""
LARGEST_INTEGER = 2**63 - 1
"""Largest absolute value of a whole number in a request: what the request log and any table can store."""
MAX_CATEGORIES = 50
"""Columns with more different texts have no `allowed` list; the target always has one."""


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One column of the table."""

    type: ColumnType
    """What a value is."""
    nullable: bool = False
    """Whether values may be missing."""
    min: float | None = None
    """Smallest value seen at import; for `datetime` columns None."""
    max: float | None = None
    """Largest value seen at import."""
    allowed: list[str | int | bool] | None = None
    """Known categories; None where there are too many to list."""
    log: bool = True
    """False keeps the column's values out of the request log, metrics, examples, slices and messages."""
    sensitive: bool = False
    """True does the same, and keeps the values out of this contract, of what callers with a key see, and of the model
    as far as the library's own features decide."""
    csv: CsvFormat | None = None
    """How cells of CSV write the column's values, where that is not the plain way."""

    @property
    def is_private(self) -> bool:
        """Whether no value of the column may be written or shown."""
        return self.sensitive or not self.log


class DataContract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table's columns, and which of them is predicted."""

    name: str
    """Name of the table; the file is `conf/data/<name>.yaml`."""
    path: str
    """File relative to the project's folder, with forward slashes."""
    task: Task
    """Whether the target is a class or a number."""
    target: str
    """Column to predict."""
    id: str | None = None
    """Column that identifies a row; not a feature."""
    time: str | None = None
    """Column with the time of a row; not a feature."""
    key: list[str] = []
    """Columns that decide on which side of the split a row falls: the id, or the features of the first import."""
    repeats: Repeats = "together"
    """Rows with equal keys: `together` as copies, on one side; or `separate`, by their number in the table's order."""
    columns: dict[str, Column]
    """The columns by name, in the table's order."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns a model may learn from, in the table's order: all but target, id and time."""
        return tuple(name for name in self.columns if name not in (self.target, self.id, self.time))

    @property
    def types(self) -> dict[str, ColumnType]:
        """The type of each column, in the table's order."""
        return {name: column.type for name, column in self.columns.items()}

    @property
    def readings(self) -> dict[str, Reading]:
        """How the cells of a file are read, by column."""
        return {
            name: Reading(column_type=column.type, csv=column.csv or PLAIN) for name, column in self.columns.items()
        }

    @property
    def has_private_columns(self) -> bool:
        """Whether messages of libraries, which quote values, must not be kept."""
        return any(column.is_private for column in self.columns.values())

    def with_private(self, other: "DataContract") -> "DataContract":
        """This contract, with the other's private columns private too."""
        private = {name for name, column in other.columns.items() if column.is_private}
        columns = {
            name: msgspec.structs.replace(column, log=False) if name in private else column
            for name, column in self.columns.items()
        }
        return msgspec.structs.replace(self, columns=columns)

    def features_of(self, *types: ColumnType) -> list[str]:
        """Feature names of the given types, in the table's order."""
        return [name for name in self.features if self.columns[name].type in types]


def parse_contract(values: Mapping[str, Any], source: str) -> DataContract:
    """Convert plain values to a contract.

    Args:
        values: As YAML holds them.
        source: Where they come from, for errors.

    Raises:
        UsageError: Names `source` and the entry that does not fit.
    """
    check_categories(values, source)
    try:
        contract = msgspec.convert(values, DataContract)
    except msgspec.ValidationError as err:
        raise UsageError(
            f"{source} is not a data contract: {err}. Fix the entry, or write the file again with `mlp data import`."
        ) from err
    named = {
        "target": contract.target,
        "id": contract.id,
        "time": contract.time,
        **{f"key {key}": key for key in contract.key},
    }
    for role, column in named.items():
        if column is not None and column not in contract.columns:
            raise UsageError(
                f"{source}: {role} names the column {column!r}, but the columns are {', '.join(contract.columns)}."
            )
    if contract.columns[contract.target].sensitive:
        raise UsageError(
            f"{source}: the target {contract.target!r} is marked sensitive, but every prediction is one of its values. "
            "Remove `sensitive: true` from it; keys decide who sees predictions."
        )
    return contract


def read_contract(path: Path) -> DataContract:
    """Read `conf/data/<name>.yaml` or an artifact's `contract.yaml`."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as err:
        raise UsageError(f"cannot read the data contract {path}: {err}") from err
    return parse_contract(values if isinstance(values, dict) else {}, str(path))


def dump_contract(contract: DataContract) -> str:
    """The contract as YAML, columns in the table's order, defaults left out; PyYAML and Hydra read the same from it."""
    values = msgspec.to_builtins(contract)
    for column in values["columns"].values():
        if column["type"] == "integer":
            column.update(
                {
                    limit: int(column[limit])
                    for limit in ("min", "max")
                    if limit in column and float(column[limit]).is_integer()
                }
            )
    return yaml.dump(values, Dumper=_QuotingDumper, sort_keys=False, allow_unicode=True, width=1000)


class _QuotingDumper(yaml.SafeDumper):
    """Quotes every text that is not a plain word: Hydra reads 1e3 and others as numbers where PyYAML reads texts."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./ -]*[A-Za-z0-9_]|[A-Za-z_]", text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_QuotingDumper.add_representer(str, _quoted)


def columns_from_rows(rows: Sequence[Mapping[str, Any]], contract: DataContract) -> dict[str, list[Any]]:
    """Check JSON-like rows against the contract, strictly, and transpose them to one list per feature.

    Every feature is required; null is allowed only if the column is nullable. Target, id and time are accepted and
    ignored. Any other name is rejected, because it is usually a misspelling. Values out of range and unknown categories
    are accepted. NaN, which clients send for a missing value, is null; so is pandas' "NaT" in a time.

    Args:
        rows: n mappings from column name to value.
        contract: Names and types of the features.
    Returns:
        Per feature, in the contract's order, its n values; None is missing.
    Raises:
        UsageError: Names the row (from 0), the column, what was given and what was expected.
    """
    known = set(contract.columns)
    for number, row in enumerate(rows):
        if extra := [name for name in row if name not in known]:
            raise UsageError(
                f"row {number}: unknown column {extra[0]!r}; the columns are {', '.join(contract.features)}."
            )
    table: dict[str, list[Any]] = {}
    for name in contract.features:
        column, values = contract.columns[name], []
        for number, row in enumerate(rows):
            if name not in row:
                raise UsageError(
                    f"row {number}: column {name!r} is missing; send null if the value is not known and the column is "
                    "nullable."
                )
            values.append(_checked(_known(row[name], column), name, column, number))
        table[name] = values
    return table


_EXPECTED = {
    "integer": "a whole number",
    "number": "a finite number",
    "boolean": "true or false",
    "string": "a text",
    "datetime": "an ISO 8601 date or time as text",
}


def _known(value: Any, column: Column) -> Any:
    is_gap = value != value or (value == "NaT" and column.type == "datetime")
    return None if is_gap else value


def _checked(value: Any, name: str, column: Column, row: int) -> Any:
    if value is None:
        if column.nullable:
            return None
        raise UsageError(
            f"row {row}: column {name!r} is null, expected {_EXPECTED[column.type]}; the contract says it is never "
            "missing."
        )
    match column.type:
        case "boolean":
            fits = isinstance(value, bool)
        case "string":
            fits = isinstance(value, str)
        case "datetime":
            fits = isinstance(value, str) and _is_time(value)
        case _:
            fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) != float("inf")
            fits = fits and (column.type == "number" or isinstance(value, int) or value.is_integer())
            largest = LARGEST_NUMBER if column.type == "number" else LARGEST_INTEGER
            if fits and abs(value) > largest:
                raise UsageError(
                    f"row {row}: column {name!r} is {shown(value, column)}, expected {_EXPECTED[column.type]} of at "
                    f"most {largest:.2g} either way."
                )
    if not fits:
        raise UsageError(f"row {row}: column {name!r} is {shown(value, column)}, expected {_EXPECTED[column.type]}.")
    return float(value) if column.type == "number" else value  # whole numbers have more digits than the frame's floats


def shown(value: Any, column: Column) -> str:
    """A value as messages show it: shortened, and for a private column only its type, because messages are logged."""
    return f"a hidden {type(value).__name__}" if column.is_private else f"{value!r:.80}"


def library_message(err: BaseException, contract: DataContract, most: int = 400) -> str:
    """What a library or the user's code said, on one line, for messages that are logged or stored.

    Libraries quote values, so nothing is left of it if the contract has private columns.
    """
    if contract.has_private_columns:
        return "the message may quote values of private columns; run again with MLP_DEBUG=1 to see it"
    return " ".join(str(err).split())[:most]


def _is_time(value: str) -> bool:
    from datetime import datetime

    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
