"""Rows of a request as what the pipeline was fitted on; used by the programs that are free in how they do it, so each does it fast."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

columns = json.loads(Path("columns.json").read_text())


def features(rows: list[Any]) -> Any:
    """Shape (n, columns): an array of a plain model's numbers, otherwise a frame, made column by column; a missing text is NaN as in training."""
    if columns["plain"]:
        return np.asarray(rows, dtype=np.float64)
    table: dict[str, Any] = {}
    for name in columns["names"]:
        values = [row[name] for row in rows]
        if name in columns["texts"]:
            texts = np.empty(len(values), dtype=object)
            texts[:] = [np.nan if value is None else value for value in values]
            table[name] = texts
        else:
            table[name] = np.array(values, dtype=np.float64)
    return pd.DataFrame(table, copy=False)
