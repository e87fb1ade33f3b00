"""Convert the rows of a request to the pipeline's input, fast; for the programs that may choose how to do it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

columns = json.loads(Path("columns.json").read_text())


def features(rows: list[Any]) -> Any:
    """Return an array for a plain model, shape (n, columns), else a frame; missing strings are NaN."""
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
