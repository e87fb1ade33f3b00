"""One valid example row for a model, real or built from its contract."""

import json
from pathlib import Path
from typing import Any

from platform_lib.data.contract import Column, DataContract, columns_from_rows
from platform_lib.data.sample_rows import typical_value
from platform_lib.errors import UsageError

_INPUT_EXAMPLE = "input_example.json"  # MLflow's name and form: {"columns": [...], "data": [[...], ...]}


def example_row(contract: DataContract, folder: Path | None = None) -> dict[str, Any]:
    """Return one row as a caller would send it, ready for JSON, in the contract's column order.

    Args:
        contract: The model's data contract.
        folder: The model's artifact. Its input example is real data; private columns get a made-up value instead.
            None builds the whole row from the contract.
    """
    given = _first_row(folder) if folder is not None else {}
    row = {}
    for name in contract.features:
        column = contract.columns[name]
        value = None if column.is_private else _as_sent(given.get(name), column)
        row[name] = value if _fits(name, value, contract) else typical_value(column)
    return row


def _first_row(folder: Path) -> dict[str, Any]:
    try:
        table = json.loads((folder / _INPUT_EXAMPLE).read_text(encoding="utf-8"))
        return dict(zip(table["columns"], table["data"][0], strict=True))
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return {}


def _as_sent(value: Any, column: Column) -> Any:
    """Undo pandas' types: in a frame, booleans and integers with gaps are floats, and times may be milliseconds."""
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
