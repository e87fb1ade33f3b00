"""What describes a server under comparison: how it is started, and what its requests and answers look like. Starting it is left to `processes`."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving.models import BenchmarkModel

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Columns:
    """What a server is told about the model beside the fitted pipeline."""

    names: tuple[str, ...]
    texts: tuple[str, ...]
    wholes: tuple[str, ...]
    plain: bool
    """Numbers without gaps alone: rows travel as lists of numbers where the server's own examples do so."""

    @classmethod
    def of(cls, model: BenchmarkModel) -> "Columns":
        """Read from the model's contract."""
        features = {name: model.contract.columns[name] for name in model.contract.features}
        texts = tuple(name for name, column in features.items() if column.type == "string")
        wholes = tuple(name for name, column in features.items() if column.type == "integer")
        plain = all(column.type == "number" and not column.nullable for column in features.values())
        return cls(tuple(features), texts, wholes, plain)

    def as_json(self) -> str:
        """As the servers' own programs read it."""
        return json.dumps({"names": self.names, "texts": self.texts, "wholes": self.wholes, "plain": self.plain})


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a server is started."""

    folder: Path
    """Its working folder: holds `model.joblib`, `columns.json` and the programs of `apps/`."""
    programs: Path
    """Folder of the executables of its environment."""
    port: int
    name: str
    """Of the model."""
    columns: Columns


@dataclass(frozen=True, slots=True)
class Start:
    """How a server is started: a command, environment variables, and the path that predicts."""

    command: list[str]
    path: str
    environment: dict[str, str] = field(default_factory=dict)


def rows_body(columns: Columns, rows: Sequence[Row]) -> Any:
    """`{"rows": …}`: lists of numbers for a plain model, objects otherwise."""
    return {"rows": [list(row.values()) for row in rows] if columns.plain else list(rows)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """One server under comparison."""

    name: str
    """As in `--only`, and of its requirements file."""
    title: str
    distribution: str
    """Whose version stands beside the title."""
    packages: tuple[str, ...]
    """What its users install; the requirements file pins it and all below it."""
    page: str
    """The pages of its documentation that the configuration follows."""
    configured: str
    """How it is configured, in a sentence."""
    start: Callable[[Stage], Start]
    body: Callable[[Columns, Sequence[Row]], Any] = rows_body
    """A request for these rows, before it becomes JSON."""
    answers: Callable[[Any], list[Any]]
    """The predictions in a decoded answer."""
