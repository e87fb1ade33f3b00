"""Facts about imported columns and rows that several parts of an import need."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from platform_lib.data.contract import Repeats
from platform_lib.data.splits import mix

_ID_NAME = re.compile(r"(^|[ _.-])(id|ids|uuid|guid|key|index|nr|no|number|rowid|unnamed: 0)$", re.IGNORECASE)
_CAMEL_ID = re.compile(r"[a-z](Id|ID|Uuid|UUID|Key|Index)$")


def rows_text(count: int) -> str:
    """`1 row`, `2 rows`."""
    return f"{count} row{'' if count == 1 else 's'}"


def is_named_as_id(name: str) -> bool:
    """Whether a column's name says that it holds identifiers: `id`, `customer_id`, `rowId`."""
    return bool(_ID_NAME.search(name) or _CAMEL_ID.search(name))


def codes_of(values: pa.ChunkedArray) -> NDArray[np.int64]:
    """The values as codes from 0, shape (rows,); missing is -1."""
    # One chunk: unifying the dictionaries of many takes far longer. Large strings, because a chunk of others ends at
    # 2 GiB.
    whole = (values.cast(pa.large_string()) if values.type == pa.string() else values).combine_chunks()
    codes = pc.fill_null(whole.dictionary_encode().indices, -1).to_numpy(zero_copy_only=False)
    return np.asarray(codes, dtype=np.int64)


def hashes_of(table: pa.Table) -> NDArray[np.uint64]:
    """A 64-bit hash of each row, shape (rows,): equal rows of this table have equal hashes."""
    state = np.zeros(table.num_rows, dtype=np.uint64)
    for values in table.columns:
        state = mix(state + codes_of(values).view(np.uint64))
    return state


def already_there(table: pa.Table, old_rows: int, repeats: Repeats) -> int:
    """How many of the new rows, which are last, copy an old one.

    Separate observations repeat without being copies: they are all there only if they lie there in the same order.
    """
    hashes = hashes_of(table)
    old, new = hashes[:old_rows], hashes[old_rows:]
    if repeats == "together":
        return int(np.isin(new, old).sum())
    starts = np.flatnonzero(old[: max(old_rows - len(new) + 1, 0)] == new[0])
    return len(new) if any(np.array_equal(old[start : start + len(new)], new) for start in starts) else 0
