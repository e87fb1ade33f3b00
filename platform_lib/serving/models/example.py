"""One row that a model certainly takes: from the input example in its artifact, else made up from the contract."""

import json
from pathlib import Path
from typing import Any

from platform_lib.data.contract import Column, DataContract, columns_from_rows
from platform_lib.data.sample_rows import typical_value
from platform_lib.errors import UsageError

_INPUT_EXAMPLE = "input_example.json"  # MLflow's name and form: {"columns": [...], "data": [[...], ...]}


def example_row(contract: DataContract, folder: Path | None = None) -> dict[str, Any]:
    """A row as a caller would send it, JSON-able, in the contract's order.

    Args:
        folder: The model's artifact; its input example is real data, with columns marked `log: false` replaced.
    """
    given = _first_row(folder) if folder is not None else {}
    row = {}
    for name in contract.features:
        column = contract.columns[name]
        value = _as_sent(given.get(name), column) if column.log else None
        row[name] = value if _fits(name, value, contract) else typical_value(column)
    return row


def _first_row(folder: Path) -> dict[str, Any]:
    try:
        table = json.loads((folder / _INPUT_EXAMPLE).read_text(encoding="utf-8"))
        return dict(zip(table["columns"], table["data"][0], strict=True))
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return {}


def _as_sent(value: Any, column: Column) -> Any:
    """The example holds a frame's values, where booleans and whole numbers are floats and times may be numbers of milliseconds."""
    if column.type == "boolean" and isinstance(value, int | float):
        return bool(value)
    if column.type == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _fits(name: str, value: Any, contract: DataContract) -> bool:
    only = DataContract(name="one", path="", task=contract.task, target="", columns={name: contract.columns[name]})
    try:
        columns_from_rows([{name: value}], only)
    except UsageError:
        return False
    return value is not None
