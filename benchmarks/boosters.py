"""Measure how long LightGBM, XGBoost and CatBoost predict, by number of rows: 200 trees on 20 numbers."""

import time

import numpy as np

from platform_lib.boosters.estimators import BoostedTreesClassifier
from platform_lib.boosters.libraries import LIBRARIES

TREES, COLUMNS, ROWS, CALLS = 200, 20, 5000, 200


def main() -> None:
    """Print the best time of many calls for each library, in microseconds."""
    random = np.random.default_rng(0)
    block = random.normal(size=(ROWS, COLUMNS))
    truth = block[:, 0] + block[:, 1] * block[:, 2] + random.normal(size=ROWS) > 0
    for library in LIBRARIES:
        model = BoostedTreesClassifier(library, params={"n_estimators": TREES, "learning_rate": 0.05})
        model.fit(block, truth)
        parts = [f"{rows} rows {_best_us(model, block[:rows]):,.0f} µs" for rows in (1, 64, ROWS)]
        print(f"{library:10}", "  ".join(parts))


def _best_us(model: BoostedTreesClassifier, block: np.ndarray) -> float:
    times = []
    for _ in range(CALLS):
        started = time.perf_counter()
        model.predict_block(block)
        times.append(time.perf_counter() - started)
    return min(times) * 1e6


if __name__ == "__main__":
    main()
