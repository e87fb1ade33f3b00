"""Encode predictions and metadata for the Open Inference Protocol v2."""

from typing import Any

import msgspec
import numpy as np

from platform_lib.data.contract import DataContract
from platform_lib.model.artifact import Predictions, category_text
from platform_lib.serving.protocols.codec import CodecModel
from platform_lib.serving.protocols.tensors import TEXT, array_bytes, column_datatype, text_bytes

PREDICTION = "prediction"
PROBABILITIES = "probabilities"
_encoder = msgspec.json.Encoder()


class InferOptions(msgspec.Struct, frozen=True):
    """What a request says of its response."""

    id: str | None
    """The caller's own id; the response repeats it."""
    outputs: dict[str, bool]
    """Names of the requested outputs, and whether each is binary."""


def encode_infer(
    name: str, version: str, options: InferOptions, predictions: Predictions, request_id: str
) -> tuple[bytes, int | None]:
    """Return the response's bytes, and how many of them are JSON if binary tensors follow."""
    outputs, tails = [], []
    for output, is_binary in options.outputs.items():
        encode_output = _prediction if output == PREDICTION else _probabilities
        tensor, raw = encode_output(predictions, is_binary=is_binary)
        outputs.append({"name": output, **tensor})
        tails.append(raw)
    document = {"model_name": name, "model_version": version, "id": options.id or request_id, "outputs": outputs}
    head, tail = _encoder.encode(document), b"".join(tails)
    return head + tail, len(head) if any(options.outputs.values()) else None


def _prediction(predictions: Predictions, *, is_binary: bool) -> tuple[dict[str, Any], bytes]:
    datatype, values = prediction_datatype(predictions.values.dtype), predictions.values
    tensor: dict[str, Any] = {"shape": [len(values)], "datatype": datatype}
    if datatype == TEXT:
        texts = [str(value) for value in values.tolist()]
        return _with_data(tensor, texts, text_bytes(texts) if is_binary else None)
    return _with_data(tensor, values.tolist(), array_bytes(values, datatype) if is_binary else None)


def _probabilities(predictions: Predictions, *, is_binary: bool) -> tuple[dict[str, Any], bytes]:
    assert predictions.probabilities is not None
    rows, classes = predictions.probabilities.shape
    tensor = {"shape": [rows, classes], "datatype": "FP64"}
    return _with_data(
        tensor,
        predictions.probabilities.ravel().tolist(),
        array_bytes(predictions.probabilities, "FP64") if is_binary else None,
    )


def _with_data(tensor: dict[str, Any], values: list[Any], raw: bytes | None) -> tuple[dict[str, Any], bytes]:
    if raw is None:
        return {**tensor, "data": values}, b""
    return {**tensor, "parameters": {"binary_data_size": len(raw)}}, raw


def prediction_datatype(dtype: np.dtype[Any]) -> str:
    """Return the protocol's datatype of a model's predictions."""
    return {"b": "BOOL", "i": "INT64", "u": "INT64", "f": "FP64"}.get(dtype.kind, TEXT)


def model_metadata(served: CodecModel) -> dict[str, Any]:
    """Return the body of `GET /v2/models/NAME`: inputs, outputs, and the order of classes in `probabilities`."""
    contract: DataContract = served.model.contract
    inputs = [
        {"name": feature, "datatype": column_datatype(contract.columns[feature]), "shape": [-1]}
        for feature in contract.features
    ]
    datatype = prediction_datatype(served.example_prediction.values.dtype)
    outputs: list[dict[str, Any]] = [{"name": PREDICTION, "datatype": datatype, "shape": [-1]}]
    if served.example_prediction.classes:
        labels = [category_text(label) for label in served.example_prediction.classes]
        parameters = {"classes": labels}
        outputs.append(
            {"name": PROBABILITIES, "datatype": "FP64", "shape": [-1, len(labels)], "parameters": parameters}
        )
    name, version = served.model.name, served.model.version
    return {"name": name, "versions": [version], "platform": "sklearn", "inputs": inputs, "outputs": outputs}
