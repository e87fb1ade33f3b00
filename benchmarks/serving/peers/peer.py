"""Description of a server under comparison: how to start it, and its requests and responses."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving.models import BenchmarkModel

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Columns:
    """What a server learns about the model in addition to the fitted pipeline."""

    names: tuple[str, ...]
    texts: tuple[str, ...]
    wholes: tuple[str, ...]
    plain: bool
    """Only numbers, none missing: rows are sent as lists of numbers if the server's own examples do so."""

    @classmethod
    def of(cls, model: BenchmarkModel) -> "Columns":
        """Read the columns from the model's contract."""
        features = {name: model.contract.columns[name] for name in model.contract.features}
        texts = tuple(name for name, column in features.items() if column.type == "string")
        wholes = tuple(name for name, column in features.items() if column.type == "integer")
        plain = all(column.type == "number" and not column.nullable for column in features.values())
        return cls(tuple(features), texts, wholes, plain)

    def as_json(self) -> str:
        """Return the JSON that the programs in `apps/` read."""
        return json.dumps({"names": self.names, "texts": self.texts, "wholes": self.wholes, "plain": self.plain})


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a server is started."""

    folder: Path
    """Its working folder, with `model.joblib`, `columns.json` and the programs of `apps/`."""
    programs: Path
    """The folder with the executables of its environment."""
    port: int
    name: str
    """Name of the model."""
    columns: Columns


@dataclass(frozen=True, slots=True)
class Start:
    """How to start a server: a command, the path of its prediction endpoint, and environment variables."""

    command: list[str]
    path: str
    environment: dict[str, str] = field(default_factory=dict)


def rows_body(columns: Columns, rows: Sequence[Row]) -> Any:
    """Make `{"rows": …}`, with lists of numbers for a plain model and objects otherwise."""
    return {"rows": [list(row.values()) for row in rows] if columns.plain else list(rows)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """One server under comparison."""

    name: str
    """Its value for `--only`, and the name of its requirements file."""
    title: str
    distribution: str
    """The distribution whose version the report shows."""
    packages: tuple[str, ...]
    """What its users install; the requirements file pins these and their dependencies."""
    page: str
    """Pages of its documentation that the configuration follows."""
    configured: str
    """Its configuration, in one sentence."""
    start: Callable[[Stage], Start]
    body: Callable[[Columns, Sequence[Row]], Any] = rows_body
    """Makes the body of a request for rows, before it is encoded as JSON."""
    answers: Callable[[Any], list[Any]]
    """Takes the predictions from a decoded response."""
