"""The HTTP application: assembles the routes, and turns every failure into a problem document."""

import importlib.metadata
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from platform_lib.serving.auth.access import Access
from platform_lib.serving.handler import RequestHandler
from platform_lib.serving.http.cors import checked, cors_middleware, is_cross_origin
from platform_lib.serving.http.docs_page import docs_routes
from platform_lib.serving.http.head import as_get
from platform_lib.serving.http.health import health_router
from platform_lib.serving.http.host_check import HostCheck, HostCheckMiddleware
from platform_lib.serving.http.label_routes import label_routes
from platform_lib.serving.http.openapi import describe_model
from platform_lib.serving.http.request_id import HEADER, RequestIdMiddleware
from platform_lib.serving.http.routes import (
    PredictionEndpoints,
    mlflow_routes,
    open_inference_routes,
    prediction_routes,
)
from platform_lib.serving.limits import BoundedExecutor, Limits
from platform_lib.serving.models.served_model import Source
from platform_lib.serving.problems import Problem, internal_error, problem_response
from platform_lib.serving.protocols.codecs import CODECS
from platform_lib.serving.request_log.no_log import NoRequestLog
from platform_lib.serving.request_log.recorder import RequestLog
from platform_lib.serving.rollout.controller import RolloutController
from platform_lib.serving.rollout.no_rollout import NoRollout
from platform_lib.serving.telemetry.logs import loggable
from platform_lib.serving.telemetry.metrics import ServerMetrics
from platform_lib.serving.telemetry.no_metrics import NoMetrics
from platform_lib.serving.transport.direct_response import without_direct_response

log = logging.getLogger("platform_lib.serving")


class ModelServer(FastAPI):
    """An application that bypasses its middleware for predictions, because it costs more than a prediction."""

    direct_endpoints: PredictionEndpoints | None = None
    """The application's routes give the same responses; set it to None where middleware must see every request."""
    cors: ASGIApp | None = None
    """Responds to requests of other origins' pages; None if no origin is allowed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        if self.cors is not None and scope["type"] == "http" and is_cross_origin(scope):
            await self.cors(checked(without_direct_response(scope)), receive, send)
            return
        endpoint = None
        if scope["type"] == "http":
            if scope["method"] == "POST" and self.direct_endpoints is not None:
                endpoint = self.direct_endpoints.find(scope)
            elif scope["method"] == "HEAD":
                scope, send = as_get(scope, send)
        if endpoint is not None:
            await endpoint(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


@asynccontextmanager
async def no_lifespan() -> AsyncIterator[None]:
    """Start and stop nothing."""
    yield


def create_app(
    source: Source,
    limits: Limits | None = None,
    *,
    access: Access | None = None,
    metrics: ServerMetrics | NoMetrics | None = None,
    request_log: RequestLog | NoRequestLog | None = None,
    rollout: RolloutController | NoRollout | None = None,
    connection_problem: str | None = None,
    host_check: HostCheck | None = None,
    cors_allowed_origins: Sequence[str] = (),
    lifespan: Callable[[], AbstractAsyncContextManager[None]] = no_lifespan,
) -> ModelServer:
    """Create the application around a source of models.

    Args:
        source: Its `current` is read once per request, so a swap never mixes two versions in one response.
        limits: By default those of `settings`.
        access: Who may call; by default everyone.
        metrics: By default none.
        request_log: By default none.
        rollout: Canary and shadow; by default neither.
        connection_problem: Why the fast connections are not used, for `/model`.
        host_check: Of Host and Origin; by default none.
        cors_allowed_origins: Origins whose pages may call this server from a browser, such as https://app.example.
        lifespan: Entered when the application starts, left when it ends.
    """
    bounds = limits or Limits()
    executor = BoundedExecutor(bounds)
    handler = RequestHandler(
        source=source,
        limits=bounds,
        executor=executor,
        access=access or Access(),
        metrics=metrics or NoMetrics(),
        request_log=request_log or NoRequestLog(),
        rollout=rollout or NoRollout(),
    )

    @asynccontextmanager
    async def app_lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with lifespan():
            yield
        executor.close()

    app = ModelServer(
        title="Model server",
        summary="Predicts rows with the registered model; GET /model says which.",
        version=importlib.metadata.version("platform-lib"),
        lifespan=app_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # `docs_routes` serves it, because its content depends on the caller's key
        redirect_slashes=False,  # the redirect would use the caller's Host header
    )
    app.direct_endpoints = endpoints = PredictionEndpoints(handler, CODECS, host_check)
    if host_check is not None:
        app.add_middleware(HostCheckMiddleware, check=host_check)
    if cors_allowed_origins:
        app.cors = cors_middleware(app, cors_allowed_origins)
    app.add_middleware(RequestIdMiddleware)  # outermost, so that refusals have an id
    app.include_router(health_router(handler, connection_problem))
    app.include_router(prediction_routes(endpoints))
    app.include_router(mlflow_routes(handler))
    app.include_router(open_inference_routes(handler))
    app.include_router(label_routes(handler))
    generic_openapi = app.openapi

    def openapi(*, has_key: bool = False) -> dict[str, Any]:
        needs_key = not handler.access.is_open
        return describe_model(generic_openapi(), source.current, CODECS, needs_key=needs_key, has_key=has_key)

    app.openapi = openapi  # type: ignore[method-assign]
    app.include_router(docs_routes(openapi, handler.access))
    _respond_with_problems(app, source)
    return app


def _respond_with_problems(app: FastAPI, source: Source) -> None:
    async def on_problem(request: Request, err: Exception) -> Response:
        assert isinstance(err, Problem)
        return problem_response(request, err)

    async def on_http(request: Request, err: Exception) -> Response:
        assert isinstance(err, HTTPException)
        known = {
            404: f"there is nothing at {request.url.path:.200}; GET /docs lists all paths.",
            405: f"{request.url.path:.200} does not support {request.method}.",
        }
        return problem_response(
            request, Problem(err.status_code, known.get(err.status_code, str(err.detail)), headers=err.headers)
        )

    async def on_exception(request: Request, err: Exception) -> Response:
        request_id = request.scope.get("request_id")
        why = loggable(err, lambda: source.current)
        log.error("request %s failed", request_id, exc_info=why, extra={"request_id": request_id})
        # Starlette sends this response outside all middleware.
        return problem_response(request, internal_error({HEADER: request.scope.get("request_id", "")}))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_exception)
