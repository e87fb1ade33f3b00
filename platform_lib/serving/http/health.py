"""What the server says of itself: alive, ready, and which version answers. Alive and ready are open to everyone who reaches the port."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from platform_lib.names import Alias
from platform_lib.serving.fastpath.selection import Selection
from platform_lib.serving.handler import RequestHandler
from platform_lib.serving.http.routes import PROBLEM_RESPONSES
from platform_lib.serving.models.served_model import LoaderState, public_reason, ready_model
from platform_lib.serving.transport.responses import json_response


def health_router(handler: RequestHandler) -> APIRouter:
    """`/healthz`, `/readyz` and `/model`. Why a version was refused and what is broken may hold names and paths of the inside: for admins."""
    source = handler.source
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Is the process alive?")
    async def healthz() -> Response:
        return json_response({"status": "ok"})

    @router.get(
        "/readyz",
        summary="Can it answer? 503 with the reason until a model is loaded.",
        responses={503: PROBLEM_RESPONSES[503]},
    )
    async def readyz() -> Response:
        served = ready_model(source)
        return json_response({"status": "ready", "model": {"name": served.model.name, "version": served.model.version}})

    @router.get(
        "/model",
        summary="Which version answers, since when, and what it came from; to admins also which versions were refused, and what is wrong.",
        responses={401: PROBLEM_RESPONSES[401]},
    )
    async def model(request: Request) -> Response:
        caller = await handler.access.check(request.headers)
        said = describe(source.state)
        if "admin" in caller.scopes:
            said |= admin_details(source.state) | {"problems": handler.access.problems + log_problems(handler)}
            said |= handler.rollout.describe() if handler.rollout else {Alias.CANARY: None, Alias.SHADOW: None}
        return json_response(said)

    return router


def describe(state: LoaderState) -> dict[str, Any]:
    """`/model` as every caller sees it."""
    served = state.current
    return {
        "reference": state.reference,
        "alias": state.alias,
        "name": served.model.name if served else None,
        "version": served.model.version if served else None,
        "since": served.since.isoformat() if served else None,
        "task": served.model.contract.task if served else None,
        "target": served.model.contract.target if served else None,
        "columns": list(served.model.contract.features) if served else [],
        "example": served.example if served else None,
        "fast_path": describe_selection(served.selection) if served else None,
        "tags": dict(sorted(served.tags.items())) if served else {},
        "notes": list(served.notes) if served else [],
        "waiting_for": None if served else public_reason(state.waiting_for),
    }


def admin_details(state: LoaderState) -> dict[str, Any]:
    """What `/model` tells admins besides."""
    return {
        "refused": [
            {
                "version": rejection.version,
                "check": rejection.check,
                "reason": rejection.reason,
                "at": rejection.at.isoformat(),
            }
            for rejection in sorted(state.rejected.values(), key=lambda rejection: rejection.at)
        ],
        "waiting_for": None if state.current else state.waiting_for,
        "registry_error": state.registry_error,
    }


def describe_selection(selection: Selection) -> dict[str, Any]:
    """Whether a version's fast path is used, what of it scikit-learn does itself, and why there is none."""
    return {
        "used": selection.fast is not None,
        "by_scikit_learn": list(selection.fast.by_scikit_learn) if selection.fast else [],
        "reason": selection.reason,
    }


def log_problems(handler: RequestHandler) -> list[str]:
    """What keeps the request log from being written now."""
    problem = handler.request_log.problem if handler.request_log else None
    return [f"the request log: {problem}"] if problem else []
