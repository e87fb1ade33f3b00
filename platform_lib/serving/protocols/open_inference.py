"""The Open Inference Protocol v2, `POST /v2/models/NAME/infer`: one tensor per column in, predictions out.

Its outputs are `prediction` and, for classifiers, `probabilities`. Tensors are JSON or binary, in both directions.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from platform_lib.errors import UsageError
from platform_lib.serving import settings
from platform_lib.serving.limits import byte_count
from platform_lib.serving.predictor import BatchPredictions
from platform_lib.serving.problems import Problem
from platform_lib.serving.protocols import schemas
from platform_lib.serving.protocols.codec import (
    JSON_TYPES,
    Codec,
    CodecModel,
    DecodedRequest,
    EncodedResponse,
    Operation,
    RequestHead,
)
from platform_lib.serving.protocols.inference_response import PREDICTION, PROBABILITIES, InferOptions, encode_infer
from platform_lib.serving.protocols.json_body import BodyError, decode_json
from platform_lib.serving.protocols.json_structure import SMALL_BYTES, check_size, too_many_rows
from platform_lib.serving.protocols.schemas import Schema
from platform_lib.serving.protocols.tensor_decoder import RawTensor, TensorDecoder
from platform_lib.serving.protocols.tensors import (
    check_content_type,
    column_datatype,
    first_misfit,
    values_from_bytes,
    values_from_json,
)

LENGTH_HEADER = "Inference-Header-Content-Length"
_LENGTH_HEADER_LOWER = LENGTH_HEADER.lower()


class _Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] = {}


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _RequestOptions(msgspec.Struct, kw_only=True):
    id: str | None = None
    outputs: list[_Output] | None = None
    parameters: dict[str, Any] = {}


class _InferBody(_RequestOptions, kw_only=True):
    inputs: list[_Tensor]


class _RawBody(_RequestOptions, kw_only=True):
    inputs: list[RawTensor]


_decoder = msgspec.json.Decoder(_InferBody)
_raw_decoder = msgspec.json.Decoder(_RawBody)


def decode_infer(
    body: bytes,
    json_length: int | None,
    features: Sequence[str],
    *,
    has_probabilities: bool,
    decoder: TensorDecoder | None = None,
    max_rows: int = settings.MAX_ROWS,
) -> DecodedRequest:
    """Decode a body into rows and options.

    Args:
        body: The bytes of the request.
        json_length: Bytes of JSON before the binary tensors; None if the whole body is JSON.
        features: Names for the columns of a single two-dimensional input, in this order.
        has_probabilities: Whether the model has the output `probabilities`.
        decoder: Decodes well-formed tensors straight into the contract's types; None validates all of them here.
        max_rows: Maximum per request.
    Raises:
        BodyError: The body does not have the protocol's form, or a tensor does not fit its shape.
        UsageError: The shapes give more than `max_rows` rows.
    """
    if decoder is not None and json_length is None:
        direct = _decode_directly(body, decoder, has_probabilities=has_probabilities)
        if direct is not None:
            return direct
    if json_length is not None and not 0 <= json_length <= len(body):
        raise BodyError(f"{LENGTH_HEADER} is {json_length}, but the body has {len(body)} bytes.")
    request: _InferBody = decode_json(
        _decoder,
        body if json_length is None else body[:json_length],
        '{"inputs": [{"name", "shape", "datatype", "data"}, …]}',
    )
    options = _options(request, has_probabilities=has_probabilities)
    _check_shapes(request.inputs, features, max_rows)
    values = _tensor_values(request.inputs, b"" if json_length is None else body[json_length:])
    rows = _rows(request.inputs, values, features)
    return DecodedRequest(rows=rows, objection=_misfit(request.inputs, values), options=options)


def _decode_directly(body: bytes, decoder: TensorDecoder, *, has_probabilities: bool) -> DecodedRequest | None:
    try:
        request = _raw_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    rows = decoder.decode(request.inputs)
    if rows is None:
        return None
    options = _options(request, has_probabilities=has_probabilities)
    return DecodedRequest(rows=rows, is_checked=True, options=options)


def _check_shapes(tensors: list[_Tensor], features: Sequence[str], max_rows: int) -> None:
    """Check names and shapes, before any value is converted."""
    if not tensors:
        raise BodyError("inputs is empty, expected one tensor per column.")
    for tensor in tensors:
        if tensor.parameters:
            check_content_type(tensor.parameters, f"input {tensor.name!r:.80}")
        if any(length < 0 for length in tensor.shape):
            raise BodyError(f"input {tensor.name!r:.80}: the shape {tensor.shape!r:.80} has a negative length.")
    if _is_matrix(tensors, features):
        if tensors[0].shape[1] != len(features):
            raise BodyError(
                f"input {tensors[0].name!r:.80}: the shape is {tensors[0].shape!r:.80}, "
                f"expected [n, {len(features)}] for the columns {', '.join(features)}."
            )
    else:
        _check_columns(tensors)
    if (count := tensors[0].shape[0]) > max_rows:
        raise UsageError(too_many_rows(f"{count!r:.20} rows", max_rows))


def _is_matrix(tensors: list[_Tensor], features: Sequence[str]) -> bool:
    return len(tensors) == 1 and len(tensors[0].shape) == 2 and tensors[0].name not in features


def _check_columns(tensors: list[_Tensor]) -> None:
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise BodyError("inputs names a column twice.")
    for tensor in tensors:
        if not tensor.shape or any(length != 1 for length in tensor.shape[1:]):
            raise BodyError(
                f"input {tensor.name!r:.80}: the shape is {tensor.shape!r:.80}, "
                "expected [n] or [n, 1] for a column of n rows."
            )
    if len(lengths := sorted({tensor.shape[0] for tensor in tensors})) > 1:
        raise BodyError(
            f"inputs has columns of {lengths[0]!r:.20} and {lengths[1]!r:.20} rows, expected as many in each."
        )


def _tensor_values(tensors: list[_Tensor], raw: bytes) -> list[list[Any]]:
    values, position = [], 0
    for tensor in tensors:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            values.append(values_from_json(tensor.name, tensor.datatype, tensor.shape, tensor.data))
            continue
        if not isinstance(size, int) or not 0 <= size <= len(raw) - position:
            raise BodyError(
                f"input {tensor.name!r}: binary_data_size is {size!r:.40}, "
                f"but {len(raw) - position} bytes of the body are left."
            )
        values.append(values_from_bytes(tensor.name, tensor.datatype, tensor.shape, raw[position : position + size]))
        position += size
    if position != len(raw):
        raise BodyError(f"{len(raw) - position} bytes at the end of the body belong to no input.")
    return values


def _rows(tensors: list[_Tensor], values: list[list[Any]], features: Sequence[str]) -> list[dict[str, Any]]:
    if _is_matrix(tensors, features):
        count, width = tensors[0].shape
        return [dict(zip(features, values[0][row * width : (row + 1) * width], strict=True)) for row in range(count)]
    names = [tensor.name for tensor in tensors]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _misfit(tensors: list[_Tensor], values: list[list[Any]]) -> str | None:
    """Describe the first value that its tensor's declared datatype cannot hold."""
    for tensor, given in zip(tensors, values, strict=True):
        if (index := first_misfit(tensor.datatype, given)) is not None:
            return (
                f"input {tensor.name!r:.80}: the value {given[index]!r:.80} at index {index} is not of the declared "
                f"datatype {tensor.datatype}. Declare the datatype of the values, or send other values."
            )
    return None


def _options(request: _RequestOptions, *, has_probabilities: bool) -> InferOptions:
    if request.parameters:
        check_content_type(request.parameters, "the request")
    return InferOptions(request.id, _requested_outputs(request, has_probabilities=has_probabilities))


def _requested_outputs(request: _RequestOptions, *, has_probabilities: bool) -> dict[str, bool]:
    binary = request.parameters.get("binary_data_output") is True
    offered = [PREDICTION, PROBABILITIES] if has_probabilities else [PREDICTION]
    if not request.outputs:
        return dict.fromkeys(offered, binary)
    unknown = [output.name for output in request.outputs if output.name not in offered]
    if unknown:
        raise BodyError(f"outputs asks for {unknown[0]!r:.80}, expected {' or '.join(offered)}.")
    return {output.name: output.parameters.get("binary_data", binary) is True for output in request.outputs}


def check_model_named(served: CodecModel, name: str, version: str | None) -> None:
    """Check that the served version is the one that a path names.

    Raises:
        Problem: 404, another model or version is served.
    """
    if name != served.model.name or version not in (None, served.model.version):
        requested = name if version is None else f"{name} version {version}"
        raise Problem(
            404, f"{requested:.200} is not served here; {served.model.name} version {served.model.version} is."
        )


class OpenInferenceCodec(Codec):
    """`POST /v2/models/NAME/infer`, with or without a version in the path."""

    name = "v2"
    paths = ("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer")
    media_types = (*JSON_TYPES, "application/octet-stream", "")  # Triton's client declares none
    operation = Operation(
        tag="open inference",
        summary="Predict tensors.",
        request_schema="Tensors",
        response_schema="TensorsAnswer",
        not_found=True,
    )

    def decode(self, body: bytes, head: RequestHead, served: CodecModel, max_rows: int) -> DecodedRequest:
        """Decode tensors, after a check that the path names the served version."""
        check_model_named(served, head.path_params["name"], head.path_params.get("version"))
        length: int | None = None
        if (given := head.headers.get(_LENGTH_HEADER_LOWER)) is not None:
            length = byte_count(given)
            if length is None:
                raise BodyError(f"{LENGTH_HEADER} is {given!r:.40}, expected a number of bytes.")
        if len(body) > SMALL_BYTES:
            check_size(body[:length], max_rows=max_rows, columns=served.decoders.columns, nested_values=True)
        return decode_infer(
            body,
            length,
            served.features,
            has_probabilities=served.example_prediction.probabilities is not None,
            decoder=served.decoders.tensors,
            max_rows=max_rows,
        )

    def encode(
        self, predictions: BatchPredictions, request: DecodedRequest, head: RequestHead, served: CodecModel
    ) -> EncodedResponse:
        """Encode the requested outputs, as JSON or binary."""
        body, json_length = encode_infer(
            served.model.name, served.model.version, request.options, predictions.predictions, head.request_id
        )
        if json_length is None:
            return EncodedResponse(body)
        length_header = (_LENGTH_HEADER_LOWER.encode(), b"%d" % json_length)
        return EncodedResponse(body, b"application/octet-stream", (length_header,))

    def schemas(self, served: CodecModel | None) -> dict[str, Schema]:
        """The schemas `Tensors` and `TensorsAnswer`."""
        outputs: list[str] = []
        if served is not None:
            outputs = (
                [PREDICTION, PROBABILITIES] if served.example_prediction.probabilities is not None else [PREDICTION]
            )
        contract = served.model.contract if served else None
        return {
            "Tensors": schemas.tensors_schema(contract, outputs),
            "TensorsAnswer": schemas.tensors_response_schema(),
        }

    def examples(self, served: CodecModel) -> dict[str, Any]:
        """The example row, one tensor per column."""
        contract, row = served.model.contract, served.example
        tensors = [
            {"name": name, "datatype": column_datatype(contract.columns[name]), "shape": [1], "data": [row[name]]}
            for name in contract.features
        ]
        return {"tensors": {"inputs": tensors}}
