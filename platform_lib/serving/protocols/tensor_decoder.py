"""Decode well-formed tensors of a v2 body straight into columns of the contract's types.

As in `row_decoder`, it may only be stricter than the general path, here `open_inference.decode_infer`, and what it
accepts must give the same rows.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from platform_lib.data.contract import Column, ColumnType, DataContract
from platform_lib.data.rows import ColumnRows
from platform_lib.serving.protocols.row_decoder import PLAIN
from platform_lib.serving.protocols.tensors import DTYPES, TEXT, first_misfit

_ALWAYS_FITS: Mapping[ColumnType, tuple[str, ...]] = {
    "integer": ("INT64", "FP64", "FP32"),
    "number": ("FP64", "FP32"),
    "boolean": ("BOOL",),
    "string": (TEXT,),
}
"""Datatypes that can hold every value of a column's type, as the decoders limit it."""


class RawTensor(msgspec.Struct):
    """A tensor whose values are not decoded yet."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = msgspec.Raw(b"null")
    parameters: dict[str, Any] = {}


class TensorDecoder:
    """Decodes the tensors of one contract."""

    def __init__(self, contract: DataContract) -> None:
        self._features = contract.features
        self._has_times = bool(contract.features_of("datetime"))
        columns = [contract.columns[name] for name in contract.features]
        self._columns = {
            name: (column.type, _list_decoder(column)) for name, column in zip(contract.features, columns, strict=True)
        }
        self._type = columns[0].type
        types = {(column.type, column.nullable) for column in columns}
        # A matrix holds values of one type.
        self._matrix = _list_decoder(columns[0]) if len(types) == 1 else None
        self._nested = _list_decoder(columns[0], nested=True) if len(types) == 1 else None

    def decode(self, tensors: Sequence[RawTensor]) -> ColumnRows | None:
        """Return the rows, or None if they need the general path, as times always do.

        Args:
            tensors: One of shape (n, features), or one per feature of shape (n,) or (n, 1), in any order.
        """
        if self._has_times:
            return None
        try:
            if len(tensors) == 1 and len(tensors[0].shape) == 2 and tensors[0].name not in self._columns:
                return self._of_matrix(tensors[0])
            return self._of_columns(tensors)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    def _of_matrix(self, tensor: RawTensor) -> ColumnRows | None:
        rows, width = tensor.shape
        if self._matrix is None or self._nested is None or width != len(self._features) or not _is_plain(tensor):
            return None
        raw = bytes(tensor.data)
        if raw[1:].lstrip()[:1] == b"[":
            parts = self._nested.decode(raw)
            if any(len(part) != width for part in parts):
                return None
            values = list(chain.from_iterable(parts))
        else:
            values = self._matrix.decode(raw)
        if len(values) != rows * width or not _fits(self._type, tensor.datatype, values):
            return None
        return ColumnRows([values[place::width] for place in range(width)])

    def _of_columns(self, tensors: Sequence[RawTensor]) -> ColumnRows | None:
        given = {tensor.name: tensor for tensor in tensors}
        if given.keys() != self._columns.keys() or len(tensors) != len(given):
            return None
        columns = []
        for name, (column_type, decoder) in self._columns.items():
            tensor = given[name]
            if not _is_plain(tensor) or not tensor.shape or any(length != 1 for length in tensor.shape[1:]):
                return None
            values = decoder.decode(tensor.data)
            if len(values) != math.prod(tensor.shape) or not _fits(column_type, tensor.datatype, values):
                return None
            columns.append(values)
        if len({len(values) for values in columns}) != 1:
            return None
        return ColumnRows(columns)


def _is_plain(tensor: RawTensor) -> bool:
    if tensor.parameters and ("binary_data_size" in tensor.parameters or "content_type" in tensor.parameters):
        return False
    return tensor.datatype in DTYPES or tensor.datatype == TEXT


def _fits(column_type: ColumnType, datatype: str, values: list[Any]) -> bool:
    return datatype in _ALWAYS_FITS[column_type] or first_misfit(datatype, values) is None


def _list_decoder(column: Column, *, nested: bool = False) -> msgspec.json.Decoder[Any]:
    kind = PLAIN[column.type] | None if column.nullable else PLAIN[column.type]
    return msgspec.json.Decoder(list[list[kind]] if nested else list[kind])  # type: ignore[valid-type]
