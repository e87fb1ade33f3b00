"""Decide which rows are held out, so that a row stays on its side while the table grows.

The decision depends only on the row's key and the salt: not on other rows, dtypes or the version of pandas. Where the
contract says `repeats: separate`, it also depends on how many earlier rows of the table have the same key.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.data.contract import Column, DataContract, Repeats
from platform_lib.data.frame import convert
from platform_lib.errors import UsageError

SplitMethod = Literal["hash", "group", "time"]


def holdout_mask(
    table: pd.DataFrame,
    contract: DataContract,
    *,
    method: SplitMethod = "hash",
    test_share: float = 0.2,
    column: str | None = None,
    cutoff: str | None = None,
    salt: str = "",
) -> NDArray[np.bool_]:
    """Decide which rows are held out.

    Args:
        table: n rows with at least the columns that decide, typed or raw.
        contract: Its `key` and `repeats` decide for `hash`; without a key its id, and without an id all columns.
        method: `hash` by the row's key, `group` by `column`, `time` by `cutoff` on `column` (default: the contract's
            time column).
        test_share: Share of rows (hash) or groups (group) held out, in (0, 1).
        column: See method. Rows without a group are one group.
        cutoff: ISO 8601; rows at or after it are held out.
        salt: A different salt gives a different split.
    Returns:
        Shape (n,), True where held out; each side has at least one row.
    Raises:
        UsageError: A setting or column does not fit, or a side would be empty.
    """
    mask = held_out_by(table, contract, method=method, test_share=test_share, column=column, cutoff=cutoff, salt=salt)
    if mask.all() or not mask.any():
        side, remedy = ("hold-out", "a larger share" if method != "time" else "an earlier cutoff")
        if mask.all():
            side, remedy = ("training side", "a smaller share" if method != "time" else "a later cutoff")
        raise UsageError(
            f"the {side} of the split would be empty: all {len(mask)} rows fall on the other side. Use more rows, "
            f"{remedy}, or another split."
        )
    return mask


def held_out_by(
    table: pd.DataFrame,
    contract: DataContract,
    *,
    method: SplitMethod,
    test_share: float,
    column: str | None,
    cutoff: str | None,
    salt: str,
) -> NDArray[np.bool_]:
    """Like `holdout_mask`, but a side may be empty."""
    match method:
        case "hash":
            mask = _share(table, contract, key_columns(contract), test_share, salt, repeats=contract.repeats)
        case "group":
            mask = _share(table, contract, [_named(column, contract, "group", "split.column")], test_share, salt)
        case "time":
            mask = _since(
                table,
                contract,
                _named(column or contract.time, contract, "time", "split.column, or time in the contract,"),
                cutoff,
            )
        case _:
            raise UsageError(f"split.method is {method!r}, expected hash, group or time.")
    return mask


def key_columns(contract: DataContract) -> list[str]:
    """The columns that decide a row's side, in hashing order: by name, so that reordering the contract moves no row."""
    return sorted(contract.key or ([contract.id] if contract.id else list(contract.columns)))


def row_hashes(columns: Iterable[tuple[pd.Series, Column]], rows: int, salt: str) -> NDArray[np.uint64]:
    """A 64-bit hash of each row's values in the given columns, evenly distributed; equal values have equal hashes.

    Does not use pandas' hash, which may change between versions: a changed hash would train on rows that were held out.

    Args:
        columns: Values, shape (rows,), and contract entry of each column.
        rows: Number of rows.
        salt: A different salt gives different hashes.
    Returns:
        Shape (rows,).
    """
    state = np.full(rows, _text_hash(f"platform_lib.splits/1/{salt}"), dtype=np.uint64)
    for series, column in columns:
        state = mix(state + _value_hashes(series, column))
    return state


def numbered(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hashes in which the k-th row with an equal hash differs from the others; the first keeps its hash.

    Rows are numbered in the table's order, so appended rows change no number. The target cannot number them: it must
    not decide on a side.

    Args:
        hashes: Of all rows of a table, in its order, shape (rows,).
    Returns:
        Shape (rows,).
    """
    earlier = occurrences(hashes)
    return np.where(earlier == 0, hashes, mix(hashes + mix(earlier)))


def occurrences(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """For each row, the number of earlier rows with an equal hash, shape (rows,)."""
    order = np.argsort(hashes, kind="stable")
    first = np.flatnonzero(np.diff(hashes[order], prepend=~hashes[order[:1]]))
    sizes = np.diff(first, append=len(hashes))
    earlier = np.empty(len(hashes), dtype=np.uint64)
    earlier[order] = np.arange(len(hashes)) - np.repeat(first, sizes)
    return earlier


def _share(
    table: pd.DataFrame,
    contract: DataContract,
    columns: list[str],
    test_share: float,
    salt: str,
    repeats: Repeats = "together",
) -> NDArray[np.bool_]:
    if not 0 < test_share < 1:
        raise UsageError(f"split.test_share is {test_share}, expected a share between 0 and 1 such as 0.2.")
    if absent := [name for name in columns if name not in table]:
        raise UsageError(
            f"the split needs the column {absent[0]!r}, which the table lacks; it has "
            f"{', '.join(map(str, table.columns))}."
        )
    hashes = row_hashes(((table[name], contract.columns[name]) for name in columns), len(table), salt)
    if repeats == "separate":
        hashes = numbered(hashes)
    mask: NDArray[np.bool_] = hashes < np.uint64(int(test_share * 2**64))
    return mask


def _since(table: pd.DataFrame, contract: DataContract, column: str, cutoff: str | None) -> NDArray[np.bool_]:
    kind = contract.columns[column].type
    if kind != "datetime":
        raise UsageError(
            f"the time split needs a datetime column, but {column!r} is of type {kind}; set split.column to one that "
            "is."
        )
    try:
        limit = datetime.fromisoformat(str(cutoff))
    except ValueError as err:
        raise UsageError(f"split.cutoff is {cutoff!r}, expected an ISO 8601 date or time such as 2026-01-31.") from err
    limit = limit if limit.tzinfo is None else limit.astimezone(UTC).replace(tzinfo=None)
    times, _ = convert(table[column], contract.columns[column])
    if missing := int(np.isnat(times).sum()):
        have, them = ("row has", "it") if missing == 1 else ("rows have", "them")
        raise UsageError(
            f"{missing} {have} no value in the time column {column!r}, so a time split cannot place {them}. Fill "
            f"{them} in, or use another split."
        )
    mask: NDArray[np.bool_] = times >= np.datetime64(limit, "us")
    return mask


def _named(column: str | None, contract: DataContract, method: str, setting: str) -> str:
    if not column:
        raise UsageError(f"the {method} split needs {setting} set to one of {', '.join(contract.columns)}.")
    if column not in contract.columns:
        raise UsageError(
            f"the {method} split names the column {column!r}, but the columns are {', '.join(contract.columns)}."
        )
    return column


def _value_hashes(series: pd.Series, column: Column) -> NDArray[np.uint64]:
    """Hashes of values in their canonical form: float64 bits with one zero and one NaN, UTF-8 texts, microseconds."""
    values, _ = convert(series, column)
    if column.type == "string":
        codes, texts = pd.factorize(values)
        # A missing value has code -1, which selects the last hash.
        hashes = np.array([*(_text_hash(text) for text in texts), _MISSING_TEXT], dtype=np.uint64)
        return hashes[codes]
    if column.type == "datetime":
        return mix(values.astype(np.int64).view(np.uint64))
    numbers = np.where(np.isnan(values), np.nan, values) + 0.0  # adding 0.0 turns -0.0 into 0.0
    return mix(numbers.view(np.uint64))


def _text_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


_MISSING_TEXT = 0x9E3779B97F4A7C15


def mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of each hash, shape (n,): each input bit changes each output bit with probability near one half.

    Source: the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
    """
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
