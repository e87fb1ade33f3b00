"""The HTTP application: puts the routes together and turns every failure into a problem document. `handler` answers, `loader` brings the model."""

import importlib.metadata
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from platform_lib.serving.auth.access import Access
from platform_lib.serving.handler import RequestHandler
from platform_lib.serving.http.docs_page import docs_routes
from platform_lib.serving.http.health import health_router
from platform_lib.serving.http.label_routes import label_routes
from platform_lib.serving.http.openapi import describe_model
from platform_lib.serving.http.prediction_endpoint import PredictionEndpoint
from platform_lib.serving.http.request_id import HEADER, RequestIdMiddleware
from platform_lib.serving.http.routes import direct_endpoints, infer_route, inference_routes, prediction_routes
from platform_lib.serving.limits import BoundedExecutor, Limits
from platform_lib.serving.models.served_model import Source
from platform_lib.serving.problems import Problem, internal_error, problem_response
from platform_lib.serving.request_log.recorder import RequestLog
from platform_lib.serving.rollout.controller import RolloutController
from platform_lib.serving.telemetry.metrics import ServerMetrics

log = logging.getLogger("platform_lib.serving")


class ModelServer(FastAPI):
    """An application some of whose paths are answered without its layers of middleware, which cost more than a prediction."""

    direct: dict[str, PredictionEndpoint]
    """By path or a route's pattern, for POST. Their routes answer the same; empty it where middleware has to see every request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and (endpoint := self._endpoint(scope)) is not None:
            await endpoint(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _endpoint(self, scope: Scope) -> PredictionEndpoint | None:
        path: str = scope["path"]
        if path.startswith("/v2/"):
            if (found := infer_route(path)) is None:
                return None
            scope["route"], scope["path_params"] = found
            path = found[0].path
        return self.direct.get(path)


@asynccontextmanager
async def nothing_else() -> AsyncIterator[None]:
    """For applications whose source somebody else starts."""
    yield


def create_app(
    source: Source,
    limits: Limits | None = None,
    *,
    access: Access | None = None,
    metrics: ServerMetrics | None = None,
    request_log: RequestLog | None = None,
    rollout: RolloutController | None = None,
    running: Callable[[], AbstractAsyncContextManager[None]] = nothing_else,
) -> ModelServer:
    """The application around a source of models.

    Args:
        source: Its `current` is read once a request, so a swap never mixes two versions in one answer.
        access: Who may ask; None lets everybody.
        metrics: None counts nothing.
        request_log: None keeps nothing.
        roles: Canary and shadow; None for neither.
        running: Entered when the application starts, left when it ends.
    """
    bounds = limits or Limits()
    executor = BoundedExecutor(bounds)
    handler = RequestHandler(
        source=source,
        limits=bounds,
        executor=executor,
        access=access or Access(),
        metrics=metrics,
        request_log=request_log,
        rollout=rollout,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with running():
            yield
        executor.close()

    app = ModelServer(
        title="Model server",
        summary="Answers rows with the registered model; GET /model says which.",
        version=importlib.metadata.version("platform-lib"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # the address to go to would be made of the caller's Host header
    )
    app.direct = direct_endpoints(handler)
    app.add_middleware(RequestIdMiddleware)
    app.include_router(health_router(handler))
    app.include_router(prediction_routes(handler, app.direct))
    app.include_router(inference_routes(handler, app.direct))
    app.include_router(label_routes(handler))
    app.include_router(docs_routes(lambda: str(app.openapi()["info"]["title"])))
    generic = app.openapi

    def described() -> dict[str, Any]:
        return describe_model(generic(), source.current, needs_key=not handler.access.is_open)

    app.openapi = described  # type: ignore[method-assign]
    _answer_with_problems(app)
    return app


def _answer_with_problems(app: FastAPI) -> None:
    async def on_problem(request: Request, err: Exception) -> Response:
        assert isinstance(err, Problem)
        return problem_response(request, err)

    async def on_http(request: Request, err: Exception) -> Response:
        assert isinstance(err, HTTPException)
        known = {
            404: f"there is nothing at {request.url.path:.200}; GET /docs lists what there is.",
            405: f"{request.method} is not for {request.url.path:.200}.",
        }
        return problem_response(
            request, Problem(err.status_code, known.get(err.status_code, str(err.detail)), headers=err.headers)
        )

    async def on_bug(request: Request, err: Exception) -> Response:
        request_id = request.scope.get("request_id")
        log.error("request %s failed", request_id, exc_info=err, extra={"request_id": request_id})
        # Starlette answers this one outside of all middleware.
        return problem_response(request, internal_error({HEADER: request.scope.get("request_id", "")}))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_bug)
