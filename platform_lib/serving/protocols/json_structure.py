"""Bound the values of a JSON body before it is decoded, and find names that an object has twice.

Both count commas and brackets outside of texts. Decoding first would cost twenty times the memory of the body.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from platform_lib.errors import UsageError
from platform_lib.serving.protocols.json_body import BodyError, may_be_object

SMALL_BYTES = 64 * 2**10
"""Smaller bodies cannot hold enough values to matter."""
_PART_BYTES = 64 * 2**10
_OTHER_VALUES = 1_000
"""Values of a body besides those of its rows, such as options."""


def check_size(body: bytes, *, max_rows: int, columns: int, nested_values: bool = False) -> None:
    """Check that a body holds no more values than the largest permitted number of rows has.

    Args:
        body: JSON, valid or not.
        max_rows: Maximum per request.
        columns: Values per row.
        nested_values: Whether each value may be a list of its own, as in tensors of shape [n, 1].
    Raises:
        UsageError: It holds more.
    """
    if holds_more(body, max_rows=max_rows, columns=columns, nested_values=nested_values):
        raise UsageError(too_many_rows(f"more values than {max_rows} rows", max_rows))


def holds_more(body: bytes, *, max_rows: int, columns: int, nested_values: bool = False) -> bool:
    """Return whether a body holds more values than the largest permitted number of rows; see `check_size`."""
    if len(body) <= SMALL_BYTES or not may_be_object(body):
        return False
    values = (max_rows + 1) * (columns + 2) + _OTHER_VALUES
    containers = (max_rows + 1) * (columns if nested_values else 1) + _OTHER_VALUES
    if count_of(b",", body) <= values and count_of(b"{", body) + count_of(b"[", body) <= containers:
        return False
    for part in outside_texts(body):
        values -= part.count(b",")
        containers -= part.count(b"{") + part.count(b"[")
        if values < 0 or containers < 0:
            return True
    return False


def count_of(byte: bytes, body: bytes) -> int:
    """Count a byte. NumPy counts those of a large body ten times as fast."""
    if len(body) < _PART_BYTES // 16:
        return body.count(byte)
    values = np.frombuffer(body, np.uint8)
    parts = range(0, len(values), _PART_BYTES)  # which fit into the processor's cache
    return sum(int(np.count_nonzero(values[start : start + _PART_BYTES] == byte[0])) for start in parts)


def too_many_rows(given: str, max_rows: int) -> str:
    """Return the message for a request with too many rows."""
    return (
        f"the body holds {given}, but the maximum per request is {max_rows} rows. "
        "Split them into several requests, or use `mlp predict` for files."
    )


def outside_texts(body: bytes) -> Iterator[bytes]:
    """Yield the parts of a JSON body that are outside of texts, in pieces, with the texts' quotes left out."""
    is_inside = False
    start = 0
    while start < len(body):
        stop = start + _PART_BYTES
        part = body[start:stop]
        if (len(part) - len(part.rstrip(b"\\"))) % 2:  # ends within an escape
            part, stop = body[start : stop + 1], stop + 1
        if b"\\" in part:
            part = part.replace(b"\\\\", b"").replace(b'\\"', b"")
        pieces = part.split(b'"')
        yield b"".join(pieces[is_inside::2])
        is_inside ^= len(pieces) % 2 == 0
        start = stop


def has_more_commas(body: bytes, expected: int) -> bool:
    """Return whether the values in a decoded body do not account for all of its commas.

    Args:
        body: Valid JSON.
        expected: Commas between the values that the decoder returned. It keeps the last of equal names only.
    """
    return count_of(b",", body) > expected and sum(part.count(b",") for part in outside_texts(body)) > expected


def check_names_differ(body: bytes, expected: int) -> None:
    """Check that no object of a body has a name twice: JSON's decoders would keep the last value only.

    Args:
        body: Valid JSON, in which NaN and Infinity are allowed.
        expected: As in `has_more_commas`. A lower number only costs time.
    Raises:
        BodyError: Names the first name that occurs twice.
    """
    if has_more_commas(body, expected):
        try:
            json.loads(body, object_pairs_hook=_object)
        except BodyError:
            raise
        except (ValueError, RecursionError):
            return  # beyond what this decoder reads, such as a number of 5,000 digits


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = first_repeated([name for name, _ in pairs])
        raise BodyError(f"an object of the body has the name {twice!r:.80} twice, expected each name once.")
    return made


def first_repeated(names: Iterable[str]) -> str | None:
    """Return the first name that occurs a second time; None if all differ."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
