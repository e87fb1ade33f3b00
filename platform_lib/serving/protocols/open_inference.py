"""The Open Inference Protocol v2, `POST /v2/models/NAME/infer`: a tensor a column in, `prediction` and `probabilities` out, as JSON or binary."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from platform_lib.data.contract import Column, ColumnType, DataContract
from platform_lib.data.rows import Rows
from platform_lib.model.artifact import Predictions, category_text
from platform_lib.serving.protocols.rows import BodyError, decode
from platform_lib.serving.protocols.tensor_decoder import RawTensor, TensorDecoder
from platform_lib.serving.protocols.tensors import TEXT, array_bytes, text_bytes, values_from_bytes, values_from_json

PREDICTION = "prediction"
PROBABILITIES = "probabilities"
LENGTH_HEADER = "Inference-Header-Content-Length"

_DATATYPES: dict[ColumnType, str] = {
    "integer": "INT64",
    "number": "FP64",
    "boolean": "BOOL",
    "string": TEXT,
    "datetime": TEXT,
}


class _Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] = {}


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Wishes(msgspec.Struct, kw_only=True):
    id: str | None = None
    outputs: list[_Output] | None = None
    parameters: dict[str, Any] = {}


class _InferBody(_Wishes, kw_only=True):
    inputs: list[_Tensor]


class _RawBody(_Wishes, kw_only=True):
    inputs: list[RawTensor]


_decoder = msgspec.json.Decoder(_InferBody)
_raw_decoder = msgspec.json.Decoder(_RawBody)
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, kw_only=True, slots=True)
class InferRequest:
    """What is asked."""

    rows: Sequence[dict[str, Any]] | Rows
    is_checked: bool = False
    """Whether they are rows of the contract already, or names and values still to be judged."""
    id: str | None
    """The caller's own; the answer carries it."""
    outputs: dict[str, bool]
    """Names that are wanted, and whether as binary."""


def decode_infer(
    body: bytes,
    json_length: int | None,
    features: Sequence[str],
    *,
    has_probabilities: bool,
    reader: TensorDecoder | None = None,
) -> InferRequest:
    """The rows and wishes of a body.

    Args:
        json_length: Bytes of JSON before the binary tensors; None where all is JSON.
        features: Names that the columns of one two-dimensional input are for, in this order.
        has_probabilities: Whether the model has that output.
        reader: Reads what is plainly right; None leaves all to the ordinary way.
    Raises:
        BodyError: Not of the protocol's form, or a tensor that does not fit its shape.
    """
    if reader is not None and json_length is None and (plain := _plain(body, reader, has_probabilities)) is not None:
        return plain
    if json_length is not None and not 0 <= json_length <= len(body):
        raise BodyError(f"{LENGTH_HEADER} is {json_length}, but the body has {len(body)} bytes.")
    request: _InferBody = decode(
        _decoder,
        body if json_length is None else body[:json_length],
        '{"inputs": [{"name", "shape", "datatype", "data"}, …]}',
    )
    values = _tensor_values(request.inputs, b"" if json_length is None else body[json_length:])
    return InferRequest(
        rows=_rows(request.inputs, values, features), id=request.id, outputs=_wanted(request, has_probabilities)
    )


def _plain(body: bytes, reader: TensorDecoder, has_probabilities: bool) -> InferRequest | None:
    try:
        request = _raw_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    rows = reader.read(request.inputs)
    if rows is None:
        return None
    return InferRequest(rows=rows, is_checked=True, id=request.id, outputs=_wanted(request, has_probabilities))


def _tensor_values(tensors: list[_Tensor], raw: bytes) -> list[list[Any]]:
    values, position = [], 0
    for tensor in tensors:
        if any(length < 0 for length in tensor.shape):
            raise BodyError(f"input {tensor.name!r}: the shape {tensor.shape} has a negative length.")
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            values.append(values_from_json(tensor.name, tensor.datatype, tensor.shape, tensor.data))
            continue
        if not isinstance(size, int) or not 0 <= size <= len(raw) - position:
            raise BodyError(
                f"input {tensor.name!r}: binary_data_size is {size!r:.40}, but {len(raw) - position} bytes are left of the body."
            )
        values.append(values_from_bytes(tensor.name, tensor.datatype, tensor.shape, raw[position : position + size]))
        position += size
    if position != len(raw):
        raise BodyError(f"{len(raw) - position} bytes of the body belong to no input.")
    return values


def _rows(tensors: list[_Tensor], values: list[list[Any]], features: Sequence[str]) -> list[dict[str, Any]]:
    if not tensors:
        raise BodyError("inputs is empty, expected one tensor a column.")
    if len(tensors) == 1 and len(tensors[0].shape) == 2 and tensors[0].name not in features:
        return _rows_of_matrix(tensors[0], values[0], features)
    names = [tensor.name for tensor in tensors]
    if len(set(names)) != len(names):
        raise BodyError("inputs names a column twice.")
    for tensor in tensors:
        if not tensor.shape or any(length != 1 for length in tensor.shape[1:]):
            raise BodyError(
                f"input {tensor.name!r}: the shape is {tensor.shape}, expected [n] or [n, 1] for a column of n rows."
            )
    lengths = {tensor.shape[0] for tensor in tensors}
    if len(lengths) > 1:
        raise BodyError(
            f"inputs has columns of {' and '.join(map(str, sorted(lengths)))} rows, expected as many in each."
        )
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _rows_of_matrix(tensor: _Tensor, values: list[Any], features: Sequence[str]) -> list[dict[str, Any]]:
    count, width = tensor.shape
    if width != len(features):
        raise BodyError(
            f"input {tensor.name!r}: the shape is {tensor.shape}, expected [n, {len(features)}] for the columns {', '.join(features)}."
        )
    return [dict(zip(features, values[row * width : (row + 1) * width], strict=True)) for row in range(count)]


def _wanted(request: _Wishes, has_probabilities: bool) -> dict[str, bool]:
    binary = request.parameters.get("binary_data_output") is True
    offered = [PREDICTION, PROBABILITIES] if has_probabilities else [PREDICTION]
    if not request.outputs:
        return dict.fromkeys(offered, binary)
    unknown = [output.name for output in request.outputs if output.name not in offered]
    if unknown:
        raise BodyError(f"outputs asks for {unknown[0]!r:.80}, expected {' or '.join(offered)}.")
    return {output.name: output.parameters.get("binary_data", binary) is True for output in request.outputs}


def encode_infer(
    name: str, version: str, request: InferRequest, predictions: Predictions, request_id: str
) -> tuple[bytes, int | None]:
    """The answer's bytes, and how many of them are JSON where binary tensors follow."""
    outputs, tails = [], []
    for output, binary in request.outputs.items():
        tensor, raw = _prediction(predictions, binary) if output == PREDICTION else _probabilities(predictions, binary)
        outputs.append({"name": output, **tensor})
        tails.append(raw)
    document = {"model_name": name, "model_version": version, "id": request.id or request_id, "outputs": outputs}
    head, tail = _encoder.encode(document), b"".join(tails)
    return head + tail, len(head) if any(request.outputs.values()) else None


def _prediction(predictions: Predictions, binary: bool) -> tuple[dict[str, Any], bytes]:
    datatype, values = prediction_datatype(predictions.values.dtype), predictions.values
    tensor: dict[str, Any] = {"shape": [len(values)], "datatype": datatype}
    if datatype == TEXT:
        texts = [str(value) for value in values.tolist()]
        return _with_data(tensor, texts, text_bytes(texts) if binary else None)
    return _with_data(tensor, values.tolist(), array_bytes(values, datatype) if binary else None)


def _probabilities(predictions: Predictions, binary: bool) -> tuple[dict[str, Any], bytes]:
    assert predictions.probabilities is not None
    rows, classes = predictions.probabilities.shape
    tensor = {"shape": [rows, classes], "datatype": "FP64"}
    return _with_data(
        tensor,
        predictions.probabilities.ravel().tolist(),
        array_bytes(predictions.probabilities, "FP64") if binary else None,
    )


def _with_data(tensor: dict[str, Any], values: list[Any], raw: bytes | None) -> tuple[dict[str, Any], bytes]:
    if raw is None:
        return {**tensor, "data": values}, b""
    return {**tensor, "parameters": {"binary_data_size": len(raw)}}, raw


def column_datatype(column: Column) -> str:
    """The protocol's datatype of a column; others that hold the same values are taken too."""
    return _DATATYPES[column.type]


def prediction_datatype(dtype: np.dtype[Any]) -> str:
    """The protocol's datatype of a model's answers."""
    return {"b": "BOOL", "i": "INT64", "u": "INT64", "f": "FP64"}.get(dtype.kind, TEXT)


def model_metadata(
    name: str, version: str, contract: DataContract, classes: Sequence[Any], target: str
) -> dict[str, Any]:
    """`GET /v2/models/NAME`: inputs by column, outputs, and the order of classes in `probabilities`.

    Args:
        target: Datatype of `prediction`.
    """
    inputs = [
        {"name": feature, "datatype": column_datatype(contract.columns[feature]), "shape": [-1]}
        for feature in contract.features
    ]
    outputs: list[dict[str, Any]] = [{"name": PREDICTION, "datatype": target, "shape": [-1]}]
    if classes:
        labels = [category_text(label) for label in classes]
        outputs.append(
            {"name": PROBABILITIES, "datatype": "FP64", "shape": [-1, len(labels)], "parameters": {"classes": labels}}
        )
    return {"name": name, "versions": [version], "platform": "sklearn", "inputs": inputs, "outputs": outputs}
