"""The routes of the prediction protocols: one `POST` per path of a codec, and the other paths that clients expect."""

import importlib.metadata
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import compile_path
from starlette.types import Scope

from platform_lib.serving.handler import RequestHandler
from platform_lib.serving.http.host_check import HostCheck
from platform_lib.serving.http.prediction_endpoint import DelegatedResponse, PredictionEndpoint
from platform_lib.serving.models.served_model import ServedModel, ready_model
from platform_lib.serving.protocols.codec import Codec
from platform_lib.serving.protocols.inference_response import model_metadata
from platform_lib.serving.protocols.open_inference import check_model_named
from platform_lib.serving.transport.responses import json_response

PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    code: {
        "description": text,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for code, text in {
        400: "The body does not have the protocol's form.",
        401: "The key is missing or unknown.",
        403: "The key lacks the scope.",
        404: "Another model or version is served here.",
        408: "The body took too long to arrive.",
        413: "The body is too large.",
        415: "The body is not declared as JSON.",
        422: "A row does not fit the data contract; the detail names row and column.",
        500: "The model failed.",
        503: "No model is loaded yet, or the server is busy; retry after Retry-After seconds.",
    }.items()
}
_PREDICTION_PROBLEMS = {code: described for code, described in PROBLEM_RESPONSES.items() if code != 404}


def json_body(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the part of an operation's description that describes its body."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@dataclass(frozen=True, slots=True)
class PathPattern:
    """Takes the place of the application's own route of the same pattern in `scope["route"]`."""

    path: str


class PredictionEndpoints:
    """The endpoint of each prediction path, found as the application's router would find it, but faster."""

    def __init__(self, handler: RequestHandler, codecs: Iterable[Codec], host_check: HostCheck | None = None) -> None:
        self.by_codec = [(codec, PredictionEndpoint(handler, codec, host_check)) for codec in codecs]
        self._exact: dict[str, PredictionEndpoint] = {}
        self._patterns: list[tuple[re.Pattern[str], PathPattern, PredictionEndpoint]] = []
        for codec, endpoint in self.by_codec:
            for path in codec.paths:
                if "{" in path:
                    self._patterns.append((compile_path(path)[0], PathPattern(path), endpoint))
                else:
                    self._exact[path] = endpoint

    def find(self, scope: Scope) -> PredictionEndpoint | None:
        """Return the endpoint of a `POST`, and set the path's parameters in the scope; None for any other path."""
        path: str = scope["path"]
        if (endpoint := self._exact.get(path)) is not None:
            return endpoint
        for pattern, route, endpoint in self._patterns:
            if (match := pattern.match(path)) is not None:
                scope["route"], scope["path_params"] = route, match.groupdict()
                return endpoint
        return None


def prediction_routes(endpoints: PredictionEndpoints) -> APIRouter:
    """The application's own routes of all prediction paths. They describe the paths, and respond as `find` does."""
    router = APIRouter()
    for codec, endpoint in endpoints.by_codec:
        operation = codec.operation
        response = {
            "description": "One prediction per row.",
            "content": {"application/json": {"schema": _reference(operation.response_schema)}},
        }
        for path in codec.paths:
            router.add_api_route(
                path,
                _delegate_to(endpoint),
                methods=["POST"],
                name=f"predict_{codec.name}",
                tags=[operation.tag],
                summary=operation.summary,
                responses={200: response, **(PROBLEM_RESPONSES if operation.not_found else _PREDICTION_PROBLEMS)},
                openapi_extra={**json_body(_reference(operation.request_schema)), **_path_parameters(path)},
            )
    return router


def _delegate_to(endpoint: PredictionEndpoint) -> Any:
    async def predict() -> Response:
        return DelegatedResponse(endpoint)

    return predict


def _reference(schema: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _path_parameters(path: str) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", path)
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    return {"parameters": parameters} if parameters else {}


def mlflow_routes(handler: RequestHandler) -> APIRouter:
    """`/ping` and `/version`, which clients of the MLflow server use."""
    router = APIRouter(tags=["mlflow"])

    @router.get(
        "/ping",
        summary="200 once a model is loaded.",
        response_class=PlainTextResponse,
        responses={503: PROBLEM_RESPONSES[503]},
    )
    async def ping() -> Response:
        ready_model(handler.source)
        return PlainTextResponse("\n")

    @router.get("/version", summary="Version of the server's software.", response_class=PlainTextResponse)
    async def version() -> Response:
        return PlainTextResponse(importlib.metadata.version("platform-lib"))

    return router


def open_inference_routes(handler: RequestHandler) -> APIRouter:
    """The paths of the Open Inference Protocol that report on server and model."""
    router = APIRouter(prefix="/v2", tags=["open inference"])
    missing: dict[int | str, dict[str, Any]] = {code: PROBLEM_RESPONSES[code] for code in (404, 503)}
    secured: dict[int | str, dict[str, Any]] = {code: PROBLEM_RESPONSES[code] for code in (401, 403)}

    @router.get("", summary="Name, version and extensions of this server.")
    async def server() -> Response:
        return json_response(
            {
                "name": "platform-lib",
                "version": importlib.metadata.version("platform-lib"),
                "extensions": ["binary_tensor_data"],
            }
        )

    @router.get("/health/live", summary="Whether the process runs.")
    async def live() -> Response:
        return json_response({"live": True})

    @router.get("/health/ready", summary="Whether a model is loaded.", responses={503: PROBLEM_RESPONSES[503]})
    async def ready() -> Response:
        ready_model(handler.source)
        return json_response({"ready": True})

    @router.get("/models/{name}/ready", summary="Whether this model is loaded.", responses=missing)
    @router.get("/models/{name}/versions/{version}/ready", summary="Whether this version is loaded.", responses=missing)
    async def model_ready(name: str, version: str | None = None) -> Response:
        served_model_named(handler, name, version)
        return json_response({"name": name, "ready": True})

    @router.get("/models/{name}", summary="Inputs, outputs and the order of classes.", responses={**missing, **secured})
    @router.get(
        "/models/{name}/versions/{version}",
        summary="Inputs, outputs and the order of classes.",
        responses={**missing, **secured},
    )
    async def metadata(request: Request, name: str, version: str | None = None) -> Response:
        await handler.access.check(request.headers, "predict")
        return json_response(model_metadata(served_model_named(handler, name, version)))

    return router


def served_model_named(handler: RequestHandler, name: str, version: str | None) -> ServedModel:
    """Return the served version if it is the one that is named.

    Raises:
        Problem: 404 another one is served, 503 none is.
    """
    served = ready_model(handler.source)
    check_model_named(served, name, version)
    return served
