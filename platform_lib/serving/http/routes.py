"""The paths under which the protocols are found. What a request goes through is `handler`'s, what a body means is `protocols`'s."""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from platform_lib.serving.handler import DecodedRequest, Read, RequestHandler, Write
from platform_lib.serving.http.prediction_endpoint import DelegatedResponse, PredictionEndpoint, no_parameters
from platform_lib.serving.models.served_model import ServedModel, ready_model
from platform_lib.serving.predictor import BatchPredictions
from platform_lib.serving.problems import Problem
from platform_lib.serving.protocols.mlflow import decode_invocation, encode_invocation
from platform_lib.serving.protocols.open_inference import (
    LENGTH_HEADER,
    decode_infer,
    encode_infer,
    model_metadata,
    prediction_datatype,
)
from platform_lib.serving.protocols.rows import decode_rows
from platform_lib.serving.transport.request_body import JSON_TYPES
from platform_lib.serving.transport.responses import EncodedResponse, json_bytes, json_response

_BINARY_TYPES = (*JSON_TYPES, "application/octet-stream", "")
"""Triton's client declares nothing."""

PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    code: {
        "description": text,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for code, text in {
        400: "The body is not of the protocol's form.",
        401: "There is no key, or it is not known.",
        403: "The key does not have the scope.",
        408: "The body took too long.",
        413: "The body is too large.",
        415: "The body is not declared as JSON.",
        422: "A row does not fit the data contract; names row and column.",
        500: "The model failed.",
        503: "No model is loaded yet, or the server is busy; come again after Retry-After.",
    }.items()
}


def json_body(schema: dict[str, Any]) -> dict[str, Any]:
    """The part of an operation's description that says what its body is."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@dataclass(frozen=True, slots=True)
class InferRoute:
    """Stands in `scope["route"]` for the application's own route of the same pattern."""

    path: str


_INFER, _INFER_VERSION = InferRoute("/v2/models/{name}/infer"), InferRoute("/v2/models/{name}/versions/{version}/infer")


def infer_route(path: str) -> tuple[InferRoute, dict[str, str]] | None:
    """The route of `/v2` that a path of tensors means and its parameters, as the application's router would find them."""
    match path.split("/"):
        case ["", "v2", "models", name, "infer"] if name:
            return _INFER, {"name": name}
        case ["", "v2", "models", name, "versions", version, "infer"] if name and version:
            return _INFER_VERSION, {"name": name, "version": version}
    return None


_ROWS, _INVOCATION, _TENSORS = ({"$ref": f"#/components/schemas/{name}"} for name in ("Rows", "Invocation", "Tensors"))


def direct_endpoints(handler: RequestHandler) -> dict[str, PredictionEndpoint]:
    """What answers `POST` at the paths of `prediction_routes` and `inference_routes`."""

    def read_own(body: bytes, served: ServedModel) -> DecodedRequest:
        rows = served.row_decoders["rows"].read(body)
        return DecodedRequest(rows=decode_rows(body)) if rows is None else DecodedRequest(rows=rows, is_checked=True)

    def write_own(
        served: ServedModel, _decoded: DecodedRequest, answers: BatchPredictions, request_id: str
    ) -> EncodedResponse:
        model = {"name": served.model.name, "version": served.model.version}
        return EncodedResponse(json_bytes({"request_id": request_id, "model": model, **answers.as_json()}))

    def read_mlflow(body: bytes, served: ServedModel) -> DecodedRequest:
        rows = served.row_decoders["dataframe_records"].read(body)
        return (
            DecodedRequest(rows=decode_invocation(body, served.model.contract.features))
            if rows is None
            else DecodedRequest(rows=rows, is_checked=True)
        )

    def write_mlflow(
        _served: ServedModel, _decoded: DecodedRequest, answers: BatchPredictions, _request_id: str
    ) -> EncodedResponse:
        return EncodedResponse(json_bytes(encode_invocation(answers.predictions)))

    infer = PredictionEndpoint(handler, "v2", _BINARY_TYPES, _infer_form)
    return {
        _INFER.path: infer,
        _INFER_VERSION.path: infer,
        "/predict": PredictionEndpoint(handler, "rows", JSON_TYPES, no_parameters(read_own, write_own)),
        "/invocations": PredictionEndpoint(handler, "mlflow", JSON_TYPES, no_parameters(read_mlflow, write_mlflow)),
    }


def prediction_routes(handler: RequestHandler, endpoints: Mapping[str, PredictionEndpoint]) -> APIRouter:
    """`/predict`, and MLflow's `/invocations`, `/ping` and `/version`."""
    router = APIRouter()

    @router.post(
        "/predict",
        tags=["predict"],
        summary="Answer rows.",
        responses={200: _answer("Answer"), **PROBLEM_RESPONSES},
        openapi_extra=json_body(_ROWS),
    )
    async def predict() -> Response:
        return DelegatedResponse(endpoints["/predict"])

    @router.post(
        "/invocations",
        tags=["mlflow"],
        summary="Answer rows as `mlflow models serve` does: dataframe_split, dataframe_records, instances or inputs.",
        responses={200: _answer("InvocationAnswer"), **PROBLEM_RESPONSES},
        openapi_extra=json_body(_INVOCATION),
    )
    async def invocations() -> Response:
        return DelegatedResponse(endpoints["/invocations"])

    @router.get(
        "/ping",
        tags=["mlflow"],
        summary="200 once a model is loaded.",
        response_class=PlainTextResponse,
        responses={503: PROBLEM_RESPONSES[503]},
    )
    async def ping() -> Response:
        ready_model(handler.source)
        return PlainTextResponse("\n")

    @router.get(
        "/version", tags=["mlflow"], summary="Version of the server's software.", response_class=PlainTextResponse
    )
    async def version() -> Response:
        return PlainTextResponse(importlib.metadata.version("platform-lib"))

    return router


def _answer(schema: str) -> dict[str, Any]:
    return {
        "description": "The answers, one a row.",
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def inference_routes(handler: RequestHandler, endpoints: Mapping[str, PredictionEndpoint]) -> APIRouter:
    """The Open Inference Protocol under `/v2`."""
    router = APIRouter(prefix="/v2", tags=["open inference"])
    missing: dict[int | str, dict[str, Any]] = {
        404: {**PROBLEM_RESPONSES[503], "description": "Another model or version is served here."},
        503: PROBLEM_RESPONSES[503],
    }
    known: dict[int | str, dict[str, Any]] = {401: PROBLEM_RESPONSES[401], 403: PROBLEM_RESPONSES[403]}

    @router.get("", summary="What this server is.")
    async def server() -> Response:
        return json_response(
            {
                "name": "platform-lib",
                "version": importlib.metadata.version("platform-lib"),
                "extensions": ["binary_tensor_data"],
            }
        )

    @router.get("/health/live", summary="Is the process alive?")
    async def live() -> Response:
        return json_response({"live": True})

    @router.get("/health/ready", summary="Can it answer?", responses={503: PROBLEM_RESPONSES[503]})
    async def ready() -> Response:
        ready_model(handler.source)
        return json_response({"ready": True})

    @router.get("/models/{name}/ready", summary="Is this model ready?", responses=missing)
    @router.get("/models/{name}/versions/{version}/ready", summary="Is this version ready?", responses=missing)
    async def model_ready(name: str, version: str | None = None) -> Response:
        served_model_named(handler, name, version)
        return json_response({"name": name, "ready": True})

    @router.get("/models/{name}", summary="Inputs, outputs and the order of classes.", responses={**missing, **known})
    @router.get(
        "/models/{name}/versions/{version}",
        summary="Inputs, outputs and the order of classes.",
        responses={**missing, **known},
    )
    async def metadata(request: Request, name: str, version: str | None = None) -> Response:
        await handler.access.check(request.headers, "predict")
        served = served_model_named(handler, name, version)
        model, sample = served.model, served.example_prediction
        return json_response(
            model_metadata(
                model.name, model.version, model.contract, sample.classes, prediction_datatype(sample.values.dtype)
            )
        )

    @router.post(
        "/models/{name}/infer",
        summary="Answer tensors.",
        responses={200: _answer("TensorsAnswer"), **missing, **PROBLEM_RESPONSES},
        openapi_extra=json_body(_TENSORS),
    )
    @router.post(
        "/models/{name}/versions/{version}/infer",
        summary="Answer tensors.",
        responses={200: _answer("TensorsAnswer"), **missing, **PROBLEM_RESPONSES},
        openapi_extra=json_body(_TENSORS),
    )
    async def infer(name: str, version: str | None = None) -> Response:
        del name, version  # the endpoint reads them from the path
        return DelegatedResponse(endpoints[_INFER.path])

    return router


def _infer_form(headers: Mapping[str, str], path: Mapping[str, str]) -> tuple[Read, Write]:
    length = headers.get(LENGTH_HEADER.lower())

    def read(body: bytes, served: ServedModel) -> DecodedRequest:
        check_model_named(served, path["name"], path.get("version"))
        if length is not None and not (length.isascii() and length.isdigit()):
            raise Problem(400, f"{LENGTH_HEADER} is {length!r:.40}, expected a number of bytes.")
        features, has_probabilities = (
            served.model.contract.features,
            served.example_prediction.probabilities is not None,
        )
        json_length = None if length is None else int(length)
        wanted = decode_infer(
            body, json_length, features, has_probabilities=has_probabilities, reader=served.tensor_decoder
        )
        return DecodedRequest(rows=wanted.rows, is_checked=wanted.is_checked, form=wanted)

    def write(
        served: ServedModel, decoded: DecodedRequest, answers: BatchPredictions, request_id: str
    ) -> EncodedResponse:
        body, json_length = encode_infer(
            served.model.name, served.model.version, decoded.form, answers.predictions, request_id
        )
        if json_length is None:
            return EncodedResponse(body)
        return EncodedResponse(
            body, b"application/octet-stream", ((LENGTH_HEADER.lower().encode(), b"%d" % json_length),)
        )

    return read, write


def served_model_named(handler: RequestHandler, name: str, version: str | None) -> ServedModel:
    """The served version, when it is the one that is named.

    Raises:
        Problem: 404 another one is served, 503 none is.
    """
    served = ready_model(handler.source)
    check_model_named(served, name, version)
    return served


def check_model_named(served: ServedModel, name: str, version: str | None) -> None:
    """Raises a 404 unless this model, and version if one is named, is served."""
    if name != served.model.name or version not in (None, served.model.version):
        wanted = name if version is None else f"{name} version {version}"
        raise Problem(404, f"{wanted:.200} is not served here; {served.model.name} version {served.model.version} is.")
