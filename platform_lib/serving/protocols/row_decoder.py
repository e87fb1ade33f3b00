"""Decode well-formed rows of a body straight into tuples of the contract's types, in the contract's order.

Anything else takes the general path (`data.contract.columns_from_rows`), which alone validates values and explains
errors. So this decoder may only be stricter than that path, and what it accepts must give the same rows.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec

from platform_lib.data.contract import LARGEST_NUMBER, Column, ColumnType, DataContract
from platform_lib.data.rows import Row
from platform_lib.serving.protocols.json_structure import count_of, has_more_commas

_EXACT = 2**53
"""Floats represent all smaller integers exactly; 2**53 + 1 rounds to this one."""
PLAIN: Mapping[ColumnType, Any] = {
    "integer": Annotated[int, msgspec.Meta(gt=-_EXACT, lt=_EXACT)],
    "number": Annotated[float, msgspec.Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)],
    "boolean": bool,
    "string": str,
    "datetime": str,
}
"""The type by which a decoder recognizes a well-formed value."""


class RowDecoder:
    """Decodes `{key: [{column: value, …}, …]}` for one contract."""

    def __init__(self, contract: DataContract, key: str) -> None:
        """Compile the decoder.

        Args:
            contract: Names and types of the columns.
            key: Name of the list in the body, such as `rows`.
        """
        features = contract.features
        ignored = [name for name in contract.columns if name not in features]
        self._width = len(features)
        self._is_wider = bool(ignored)
        self._fractions = [place for place, name in enumerate(features) if contract.columns[name].type == "integer"]
        self._times = [place for place, name in enumerate(features) if contract.columns[name].type == "datetime"]
        names = [*features, *ignored]
        fields: list[Any] = [(f"c{place}", _type_of(contract.columns[name])) for place, name in enumerate(features)]
        fields += [(f"c{place}", Any, msgspec.UNSET) for place in range(self._width, len(names))]
        rename = {f"c{place}": name for place, name in enumerate(names)}
        self._decoder: msgspec.json.Decoder[Any] | None = None
        if any(sign in name for name in names for sign in '"\\'):
            return  # msgspec refuses such names
        row = msgspec.defstruct("Row", fields, rename=rename, forbid_unknown_fields=True, gc=False)
        body = msgspec.defstruct("Body", [("rows", list[row])], rename={"rows": key}, forbid_unknown_fields=True)  # type: ignore[valid-type]
        self._decoder = msgspec.json.Decoder(body)

    def decode(self, body: bytes) -> list[Row] | None:
        """Return the rows, or None if the body needs the general path."""
        if self._decoder is None:
            return None
        try:
            rows = [msgspec.structs.astuple(row) for row in self._decoder.decode(body).rows]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if count_of(b",", body) >= len(rows) * self._width and self._is_repeated(body, rows):
            return None
        if self._is_wider:
            rows = [row[: self._width] for row in rows]
        if (self._fractions or self._times) and not all(map(self._is_right, rows)):
            return None
        return rows

    def _is_repeated(self, body: bytes, rows: list[Row]) -> bool:
        """Return whether a name may occur twice in a row."""
        expected = len(rows) * self._width - 1
        if not has_more_commas(body, expected):
            return False
        ignored = sum(value is not msgspec.UNSET for row in rows for value in row[self._width :])
        return ignored == 0 or has_more_commas(body, expected + ignored)

    def _is_right(self, row: Row) -> bool:
        for place in self._fractions:
            value = row[place]
            if value.__class__ is float and not value.is_integer():
                return False
        try:
            for place in self._times:
                if row[place] is not None:
                    datetime.fromisoformat(row[place])
        except ValueError:
            return False
        return True


def _type_of(column: Column) -> Any:
    kind = PLAIN[column.type]
    if column.type == "integer":
        kind |= Annotated[float, msgspec.Meta(gt=-_EXACT, lt=_EXACT)]
    return kind | None if column.nullable else kind
