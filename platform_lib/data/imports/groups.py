"""Find columns whose values own several rows, such as a customer: rows that should not be separated."""

import re
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from platform_lib.data.contract import DataContract
from platform_lib.data.imports.column_facts import codes_of, is_named_as_id
from platform_lib.data.imports.type_inference import InferredColumn

_OWNERS = (
    "account|borrower|buyer|client|company|customer|device|driver|employee|household|individual|machine|member|movie|"
    "owner|participant|patient|person|player|policy|respondent|seller|session|student|subject|subscriber|unit|user|"
    "vehicle|visitor"
)
_OWNER_NAME = re.compile(rf"(^|[ _.-])({_OWNERS})([ _.-]?(id|ids|no|nr|number|key|code|name))?$", re.IGNORECASE)
_MIN_VALUES = 20
_MOST_ROWS = 50
"""Mean number of rows per value up to which an unnamed column may be a group; categories have more."""
_MIN_UNNAMED_VALUES = 50
_SAME_TARGET = 0.95


def group_warnings(contract: DataContract, inferred: Mapping[str, InferredColumn]) -> list[str]:
    """Propose `split=group` where several rows belong to one owner.

    Args:
        contract: Roles of the columns. With an id, rows of one id are on one side already.
        inferred: Per column of the contract, its n values.
    """
    found = []
    target = codes_of(inferred[contract.target].values)
    for name in contract.features:
        column = inferred[name]
        rows = len(column.values) - column.missing
        if column.column.type not in ("string", "integer") or not _MIN_VALUES <= column.distinct <= rows / 2:
            continue
        named = is_named_as_id(name) or bool(_OWNER_NAME.search(name))
        alike = _share_with_the_same_target(column.values, target)
        by_chance = float(np.square(np.bincount(target + 1) / len(target)).sum())
        few = rows / column.distinct <= _MOST_ROWS
        unnamed = column.column.type == "string" and column.distinct > _MIN_UNNAMED_VALUES and few
        if named or (unnamed and alike >= _SAME_TARGET and by_chance < 0.9 * _SAME_TARGET):
            same = f", whose targets agree in {alike:.0%} of the cases" if alike > by_chance + 0.2 else ""
            found.append(
                f"{name!r} has several rows per value ({column.distinct} values in {rows} rows){same}. If the model "
                "will meet new values, keep the rows of each on one side, or the held-out score is too good: "
                f"`mlp train split=group {_setting(name)}`."
            )
    return found


def _share_with_the_same_target(values: pa.ChunkedArray, target: NDArray[np.int64]) -> float:
    """The share of rows with the target of the last row before them that has the same value."""
    codes = codes_of(values)
    order = np.argsort(codes, kind="stable")
    codes, target = codes[order], target[order]
    follows = (codes[1:] == codes[:-1]) & (codes[1:] >= 0)
    return float((target[1:] == target[:-1])[follows].mean()) if follows.any() else 0.0


def _setting(name: str) -> str:
    return f"split.column={name}" if re.fullmatch(r"[A-Za-z_]\w*", name) else f"'split.column=\"{name}\"'"
