"""MLServer with its scikit-learn runtime and adaptive batching; it needs no program of ours."""

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.serving.peers.peer import Columns, Peer, Row, Stage, Start


def start(stage: Stage) -> Start:
    """Start it with `mlserver start FOLDER`, settings.json and model-settings.json."""
    settings = {
        "host": "127.0.0.1",
        "http_port": stage.port,
        "grpc_port": 0,
        "metrics_port": 0,
        "parallel_workers": 0,
        "debug": False,
    }
    model = {
        "name": stage.name,
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib"},
        "max_batch_size": 64,
        "max_batch_time": 0.0001,
    }
    (stage.folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (stage.folder / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
    return Start([str(stage.programs / "mlserver"), "start", "."], f"/v2/models/{stage.name}/infer")


def body(columns: Columns, rows: Sequence[Row]) -> Any:
    """Make a request: one tensor for plain numbers (content type np), one input per column otherwise (pd)."""
    if columns.plain:
        data = [value for row in rows for value in row.values()]
        return {
            "inputs": [{"name": "rows", "shape": [len(rows), len(columns.names)], "datatype": "FP64", "data": data}]
        }
    inputs = [_input(name, columns, [row[name] for row in rows]) for name in columns.names]
    return {"parameters": {"content_type": "pd"}, "inputs": inputs}


def _input(name: str, columns: Columns, data: list[Any]) -> dict[str, Any]:
    kind = "BYTES" if name in columns.texts else "INT64" if name in columns.wholes else "FP64"
    text: dict[str, Any] = {"parameters": {"content_type": "str"}} if kind == "BYTES" else {}
    return {"name": name, "shape": [len(data), 1], "datatype": kind, "data": data, **text}


PEER = Peer(
    name="mlserver",
    title="MLServer, adaptive batching",
    distribution="mlserver",
    packages=("mlserver", "mlserver-sklearn"),
    page="MLServer: Adaptive Batching; Parallel Inference; Content Types (and Codecs); SKLearn runtime",
    configured="`mlserver start`, scikit-learn runtime, `max_batch_size` 64, `max_batch_time` 0.1 ms (the best of "
    "0.1, 1 and 5), inference in the main process (`parallel_workers` 0); iris as one tensor, mixed as one tensor "
    "per column",
    start=start,
    body=body,
    answers=lambda answer: list(answer["outputs"][0]["data"]),
)
