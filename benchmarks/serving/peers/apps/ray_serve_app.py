"""Ray Serve program: one deployment with a batch method for all waiting requests."""

import os
import signal
import sys
from typing import Any

import joblib
import ray
from ray import serve
from ray.serve.schema import LoggingConfig
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 1})
class Predictions:
    """One model."""

    def __init__(self, folder: str) -> None:
        os.chdir(folder)
        from rows import features  # type: ignore[import-not-found]

        self.features = features
        self.model = joblib.load("model.joblib")

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)
    async def predict(self, requests: list[list[Any]]) -> list[list[Any]]:
        """Predict the rows of all waiting requests at once."""
        predictions = self.model.predict(self.features([row for rows in requests for row in rows])).tolist()
        ends = [sum(map(len, requests[: place + 1])) for place in range(len(requests))]
        return [predictions[end - len(rows) : end] for end, rows in zip(ends, requests, strict=True)]

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Answer one request."""
        return {"predictions": await self.predict((await request.json())["rows"])}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    folder = os.getcwd()  # noqa: PTH109
    environment = {"env_vars": {"PYTHONPATH": folder}}
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        runtime_env=environment,
        log_to_driver=False,
        _temp_dir=f"{folder}/ray",
    )
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(sys.argv[1])},
        logging_config=LoggingConfig(enable_access_log=False),
    )
    serve.run(Predictions.bind(folder), blocking=True)  # type: ignore[attr-defined]
