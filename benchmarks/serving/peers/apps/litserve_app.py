"""LitServe program: batch requests of any number of rows, predict once, and split the result."""

import sys
from typing import Any

import joblib
import litserve
from rows import features  # type: ignore[import-not-found]


class Predictions(litserve.LitAPI):
    """One model."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self.model = joblib.load("model.joblib")

    def decode_request(self, request: dict[str, Any]) -> list[Any]:
        """Take the rows of a request."""
        return list(request["rows"])

    def batch(self, inputs: list[list[Any]]) -> tuple[list[Any], list[int]]:
        """Join the rows of several requests."""
        return [row for rows in inputs for row in rows], [len(rows) for rows in inputs]

    def predict(self, batch: tuple[list[Any], list[int]]) -> tuple[list[Any], list[int]]:
        """Predict all rows at once."""
        rows, lengths = batch
        return self.model.predict(features(rows)).tolist(), lengths

    def unbatch(self, output: tuple[list[Any], list[int]]) -> list[list[Any]]:
        """Split the predictions by request."""
        predictions, lengths = output
        ends = [sum(lengths[: place + 1]) for place in range(len(lengths))]
        return [predictions[end - length : end] for end, length in zip(ends, lengths, strict=True)]

    def encode_response(self, output: list[Any]) -> dict[str, Any]:
        """Make the body of a response."""
        return {"predictions": output}


if __name__ == "__main__":
    api = Predictions(max_batch_size=64, batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=1, fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
