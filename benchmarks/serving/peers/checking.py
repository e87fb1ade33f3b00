"""Compare a server's predictions with the pipeline's own.

Row by row and in batches, with many concurrent requests: batching must not mix up rows.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.serving.models import BenchmarkModel
from benchmarks.serving.peers.peer import Row
from platform_lib.data.frame import feature_frame

SINGLE_ROWS = 150
TOGETHER = (7, 64, 500)
"""Sizes of the requests with more than one row."""
AT_ONCE = 16

Ask = Callable[[httpx.Client, Sequence[Row]], list[Any]]
"""Sends rows to a server and returns its predictions."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Number of predictions compared, and number of wrong ones."""

    compared: int
    wrong: int
    example: str = ""
    """The first wrong prediction."""


def expected(model: BenchmarkModel, rows: Sequence[Row]) -> list[Any]:
    """Predict with the pipeline itself."""
    frame = feature_frame({name: [row[name] for row in rows] for name in model.contract.features}, model.contract)
    return list(model.pipeline.predict(frame).tolist())


def rows_to_check(model: BenchmarkModel) -> list[list[Row]]:
    """Make requests: many of one row, some of more rows, and rows in which every nullable value is missing."""
    features = {name: model.contract.columns[name] for name in model.contract.features}
    bare = [
        {name: None if column.nullable else row[name] for name, column in features.items()} for row in model.rows[:3]
    ]
    single = [[row] for row in [*bare, *model.rows][:SINGLE_ROWS]]
    return [*single, *([*bare, *model.rows * (1 + count // len(model.rows))][:count] for count in TOGETHER)]


def check(ask: Ask, model: BenchmarkModel) -> Checked:
    """Send all of `rows_to_check`, several at a time, and compare the predictions."""
    requests = rows_to_check(model)
    truths = iter(expected(model, [row for rows in requests for row in rows]))
    compared = wrong = 0
    example = ""
    with (
        httpx.Client(timeout=60, limits=httpx.Limits(max_connections=AT_ONCE)) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        for rows, answers in zip(requests, pool.map(lambda rows: _asked(ask, client, rows), requests), strict=True):
            truth = [next(truths) for _ in rows]
            compared += len(rows)
            if isinstance(answers, str):
                different = [(rows[0], answers, truth[0])] * len(rows)
            else:
                answered = [*map(str, answers), *["nothing"] * len(rows)]
                different = [(row, a, t) for row, a, t in zip(rows, answered, truth, strict=False) if a != str(t)]
            wrong += len(different)
            if different and not example:
                example = "for {} it predicts {}, the pipeline says {}".format(*different[0])
    return Checked(compared, wrong, example)


def _asked(ask: Ask, client: httpx.Client, rows: Sequence[Row]) -> list[Any] | str:
    try:
        return ask(client, rows)
    except (httpx.HTTPError, KeyError, IndexError, TypeError, ValueError) as err:
        return f"{type(err).__name__}: {err}"[:300]
