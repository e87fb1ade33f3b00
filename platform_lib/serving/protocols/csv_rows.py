"""Decode CSV into rows. Cells are read as `mlp predict` reads those of a file."""

import csv
import io
import math
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from platform_lib.data.contract import DataContract
from platform_lib.errors import UsageError
from platform_lib.serving.protocols.json_body import BodyError
from platform_lib.serving.protocols.json_structure import first_repeated, too_many_rows

_SAMPLE_CHARACTERS = 2**16
"""Enough to tell the separator from."""


def decode_csv(body: bytes, contract: DataContract, max_rows: int) -> list[dict[str, Any]]:
    """Return the rows of a body with a header row.

    Args:
        body: CSV in UTF-8.
        contract: Its types decide how cells are read. A cell that cannot be read stays a text, which the contract then
            refuses as in every protocol.
        max_rows: Maximum per request.
    Raises:
        BodyError: The body is not CSV, has no header, a blank or repeated name, or a line of another length.
        UsageError: There are more than `max_rows` rows.
    """
    from platform_lib.data.files.csv_layout import csv_layout

    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise BodyError("the body is not CSV in UTF-8.") from err
    if not text.strip():
        raise BodyError("the body is empty, expected CSV with a header row.")
    try:
        layout = csv_layout(Path("the body"), lambda: io.StringIO(text[:_SAMPLE_CHARACTERS], newline=""))
        lines = csv.reader(islice(io.StringIO(text, newline=""), layout.skipped, None), delimiter=layout.separator)
        names = _checked_names([name.strip() for name in next(line for line in lines if line)])
        rows: list[list[str]] = []
        for line in lines:
            if not line:
                continue
            if len(line) != len(names):
                raise BodyError(
                    f"line {lines.line_num} has {len(line)} values, expected {len(names)} as in the header."
                )
            if len(rows) == max_rows:
                raise UsageError(too_many_rows(f"more than {max_rows} rows", max_rows))
            rows.append(line)
    except csv.Error as err:
        raise BodyError(f"the body is not CSV: {err}.") from err
    columns = {
        name: _values([row[place] for row in rows], name, contract, layout.separator)
        for place, name in enumerate(names)
        if name  # a first column without a name is the index of a pandas DataFrame
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _checked_names(names: list[str]) -> list[str]:
    for number, name in enumerate(names, start=1):
        if not name and (number > 1 or len(names) == 1):
            raise BodyError(f"the header's column {number} has no name, expected a name for each column.")
    if (twice := first_repeated(names)) is not None:
        raise BodyError(f"the header names the column {twice!r:.80} twice, expected each name once.")
    return names


def _values(cells: list[str], name: str, contract: DataContract, separator: str) -> list[Any]:
    """Return the values of one column as in JSON; None is missing."""
    if name not in contract.columns:
        return cells
    import pyarrow as pa

    from platform_lib.data.files.cleaning import clean_csv_column
    from platform_lib.data.frame import convert

    column = contract.columns[name]
    array = pa.chunked_array([pa.array(cells, pa.string())])
    cleaned = clean_csv_column(array, separator=separator, reading=contract.readings[name]).values
    texts: list[Any] = cleaned.to_pylist()
    if column.type in ("string", "datetime") or not texts:
        return texts
    numbers, bad = convert(cleaned.to_pandas(), column)
    values: list[Any] = [None if math.isnan(number) else number for number in numbers.tolist()]
    if column.type == "boolean":
        values = [None if value is None else value == 1.0 for value in values]
    unreadable: Mapping[int, Any] = {int(place): texts[place] for place in bad}
    return [unreadable.get(place, value) for place, value in enumerate(values)] if unreadable else values
