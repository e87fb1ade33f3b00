"""Tensors of the Open Inference Protocol v2: their datatypes, and their values as JSON and as raw bytes.

Source: the protocol's required HTTP/REST API and its binary tensor data extension (KServe, Triton).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.data.contract import Column, ColumnType
from platform_lib.serving.protocols.json_body import BodyError

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
TEXT = "BYTES"
_COLUMN_DATATYPES: dict[ColumnType, str] = {
    "integer": "INT64",
    "number": "FP64",
    "boolean": "BOOL",
    "string": TEXT,
    "datetime": TEXT,
}
_LENGTH_BYTES = 4


def column_datatype(column: Column) -> str:
    """Return the protocol's datatype of a column. Other datatypes that hold the same values are accepted as well."""
    return _COLUMN_DATATYPES[column.type]


def values_from_json(name: str, datatype: str, shape: list[int], data: Any) -> list[Any]:
    """Return the values of a JSON tensor, flat and in row-major order.

    Args:
        name: For error messages.
        datatype: The declared one, such as FP64.
        shape: The declared one.
        data: Nested lists of the shape, or one flat list; the protocol allows both.
    """
    _check_datatype(name, datatype)
    if not isinstance(data, list):
        raise BodyError(f"input {name!r}: data is {data!r:.80}, expected a list of values.")
    values: list[Any] = []
    _flatten(data, values, len(shape) + 1, name)
    _check_count(name, shape, len(values))
    return values


def values_from_bytes(name: str, datatype: str, shape: list[int], raw: bytes) -> list[Any]:
    """Return the values of a binary tensor, flat and in row-major order. NaN becomes None, as in JSON."""
    _check_datatype(name, datatype)
    if datatype == TEXT:
        texts = _texts(name, raw)
        _check_count(name, shape, len(texts))
        return list(texts)
    dtype = DTYPES[datatype]
    if len(raw) % dtype.itemsize:
        raise BodyError(f"input {name!r}: {len(raw)} bytes are not a whole number of {datatype} values.")
    values: list[Any] = np.frombuffer(raw, dtype).tolist()
    _check_count(name, shape, len(values))
    return [None if isinstance(value, float) and math.isnan(value) else value for value in values]


def text_bytes(texts: list[str]) -> bytes:
    """Encode strings as a binary tensor: each follows its length in bytes, 4 bytes, little-endian."""
    encoded = [text.encode() for text in texts]
    return b"".join(len(text).to_bytes(_LENGTH_BYTES, "little") + text for text in encoded)


def array_bytes(values: NDArray[Any], datatype: str) -> bytes:
    """Encode numbers as a binary tensor."""
    return np.ascontiguousarray(values, dtype=DTYPES[datatype]).tobytes()


def _check_datatype(name: str, datatype: str) -> None:
    if datatype != TEXT and datatype not in DTYPES:
        raise BodyError(f"input {name!r}: datatype is {datatype!r:.40}, expected one of {', '.join([*DTYPES, TEXT])}.")


def _check_count(name: str, shape: list[int], count: int) -> None:
    expected = math.prod(shape)
    if count != expected:
        raise BodyError(f"input {name!r}: the shape {shape} needs {expected} values, but there are {count}.")


def _flatten(data: Any, into: list[Any], depth: int, name: str) -> None:
    if not isinstance(data, list):
        into.append(data)
        return
    if depth == 0:
        raise BodyError(f"input {name!r}: data is nested deeper than its shape.")
    for item in data:
        _flatten(item, into, depth - 1, name)


def _texts(name: str, raw: bytes) -> list[str]:
    texts, position = [], 0
    while position < len(raw):
        start = position + _LENGTH_BYTES
        end = start + int.from_bytes(raw[position:start], "little")
        if end > len(raw):
            raise BodyError(f"input {name!r}: a text of the binary tensor is cut off.")
        try:
            texts.append(raw[start:end].decode())
        except UnicodeDecodeError as err:
            raise BodyError(f"input {name!r}: a text of the binary tensor is not UTF-8.") from err
        position = end
    return texts
