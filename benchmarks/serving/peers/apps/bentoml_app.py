"""BentoML program: a service with one API that takes rows, which BentoML batches across requests."""

from typing import Any

import bentoml
import joblib
from rows import columns, features  # type: ignore[import-not-found]

Rows = list[list[float]] if columns["plain"] else list[dict[str, Any]]


@bentoml.service(
    workers=1,
    traffic={"timeout": 60},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
class Predictions:
    """One model."""

    def __init__(self) -> None:
        self.model = joblib.load("model.joblib")

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=4096, max_latency_ms=60_000)
    def predict(self, rows: Rows) -> list[str]:  # type: ignore[valid-type]
        """Predict a batch of rows."""
        return list(self.model.predict(features(rows)).tolist())
