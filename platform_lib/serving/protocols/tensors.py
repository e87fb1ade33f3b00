"""Tensors of the Open Inference Protocol v2: their datatypes, and their values as JSON and as raw bytes.

Source: the protocol's required HTTP/REST API and its binary tensor data extension (KServe, Triton).
"""

import math
from collections.abc import Mapping, Sequence
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
_NONE: type = type(None)
_ALL_FIT: dict[str, set[type]] = {
    TEXT: {str, _NONE},
    "BOOL": {bool, _NONE},
    "FP64": {float, _NONE},
} | {name: {_NONE} for name in DTYPES if name not in ("BOOL", "FP64")}
"""Types of which every value fits."""
_RANGES: dict[str, tuple[float, float]] = {
    name: (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    if dtype.kind in "iu"
    else (-float(np.finfo(dtype).max), float(np.finfo(dtype).max))
    for name, dtype in DTYPES.items()
    if dtype.kind != "b"
}
"""Lowest and highest finite value."""
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


_CONTENT_TYPES = ("np", "pd", "str", "datetime")
"""MLServer's content types whose values are sent as they are, without another encoding inside."""


def check_content_type(parameters: Mapping[str, Any], where: str) -> None:
    """Check that MLServer's parameter `content_type` asks for no decoding that this server does not do.

    Raises:
        BodyError: It does; taken literally, base64 would be an unknown category.
    """
    content_type = parameters.get("content_type")
    if content_type is not None and content_type not in _CONTENT_TYPES:
        raise BodyError(
            f"{where}: parameters.content_type is {content_type!r:.40}, expected none or one of "
            f"{', '.join(_CONTENT_TYPES)}. Send the values themselves, without another encoding."
        )


def first_misfit(datatype: str, values: Sequence[Any]) -> int | None:
    """Return the index of the first value that a known datatype cannot hold. Missing values fit every datatype."""
    kinds = set(map(type, values))
    if kinds <= _ALL_FIT[datatype]:
        return None
    if datatype in (TEXT, "BOOL"):
        kind = str if datatype == TEXT else bool
        return next((index for index, it in enumerate(values) if not (isinstance(it, kind) or _is_gap(it))), None)
    is_float = DTYPES[datatype].kind == "f"
    lowest, highest = _RANGES[datatype]
    if kinds == {int} and lowest <= min(values) and max(values) <= highest:
        return None

    def fits(value: Any) -> bool:
        if _is_gap(value):
            return True
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        if value in (math.inf, -math.inf):
            return is_float
        return lowest <= value <= highest and (is_float or value == math.floor(value))

    return next((index for index, value in enumerate(values) if not fits(value)), None)


def _is_gap(value: Any) -> bool:
    return value is None or value != value


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
        raise BodyError(f"input {name!r:.80}: data is {data!r:.80}, expected a list of values.")
    values: list[Any] = []
    _flatten(data, values, len(shape) + 1, name)
    _check_count(name, shape, len(values))
    return values


def values_from_bytes(name: str, datatype: str, shape: list[int], raw: bytes) -> list[Any]:
    """Return the values of a binary tensor, flat and in row-major order. NaN becomes None, as in JSON."""
    _check_datatype(name, datatype)
    if datatype == TEXT:
        texts = _texts(name, raw, at_most=math.prod(shape))
        _check_count(name, shape, len(texts))
        return list(texts)
    dtype = DTYPES[datatype]
    if len(raw) % dtype.itemsize:
        raise BodyError(f"input {name!r:.80}: {len(raw)} bytes are not a whole number of {datatype} values.")
    _check_count(name, shape, len(raw) // dtype.itemsize)
    values: list[Any] = np.frombuffer(raw, dtype).tolist()
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
        raise BodyError(
            f"input {name!r:.80}: datatype is {datatype!r:.40}, expected one of {', '.join([*DTYPES, TEXT])}."
        )


def _check_count(name: str, shape: list[int], count: int) -> None:
    expected = math.prod(shape)
    if count != expected:
        raise BodyError(f"input {name!r:.80}: the shape {shape!r:.80} needs {expected} values, but there are {count}.")


def _flatten(data: Any, into: list[Any], depth: int, name: str) -> None:
    if not isinstance(data, list):
        into.append(data)
        return
    if depth == 0:
        raise BodyError(f"input {name!r:.80}: data is nested deeper than its shape.")
    for item in data:
        _flatten(item, into, depth - 1, name)


def _texts(name: str, raw: bytes, *, at_most: int) -> list[str]:
    """Return the texts of a binary tensor, and no more than one that its shape does not have."""
    texts: list[str] = []
    position = 0
    while position < len(raw) and len(texts) <= at_most:
        start = position + _LENGTH_BYTES
        end = start + int.from_bytes(raw[position:start], "little")
        if end > len(raw):
            raise BodyError(f"input {name!r:.80}: a text of the binary tensor is cut off.")
        try:
            texts.append(raw[start:end].decode())
        except UnicodeDecodeError as err:
            raise BodyError(f"input {name!r:.80}: a text of the binary tensor is not UTF-8.") from err
        position = end
    return texts
