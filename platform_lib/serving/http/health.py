"""`/healthz`, `/readyz`, `/readyz/pod` and `/model`: whether the server runs, is ready, and which version it serves."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from platform_lib.names import NOTHING_TO_SERVE, PERSONAL_TAGS, POD_READY_PATH
from platform_lib.serving.fastpath.selection import Selection
from platform_lib.serving.handler import RequestHandler
from platform_lib.serving.http.routes import PROBLEM_RESPONSES
from platform_lib.serving.models.described_model import open_example
from platform_lib.serving.models.served_model import LoaderState, public_reason, ready_model
from platform_lib.serving.transport.responses import json_response


def health_router(handler: RequestHandler, connection_problem: str | None = None) -> APIRouter:
    """The four routes. Only admins see errors and rejections, which may contain internal names and paths."""
    source = handler.source
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Whether the process runs.")
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
        POD_READY_PATH,
        summary="Whether a rollout may go on: ready, or nothing was promoted yet. 503 until one of both is known.",
        responses={503: PROBLEM_RESPONSES[503]},
    )
    async def pod_ready() -> Response:
        if source.current is None and source.state.has_nothing_to_serve:
            return json_response({"status": NOTHING_TO_SERVE, "detail": public_reason(source.state.waiting_for)})
        ready_model(source)
        return json_response({"status": "ready"})

    @router.get(
        "/model",
        summary="Which version is served, since when, and its tags; for admins also rejected versions and problems.",
        responses={401: PROBLEM_RESPONSES[401]},
    )
    async def model(request: Request) -> Response:
        caller = await handler.access.check(request.headers)
        document = describe(source.state, has_key=not handler.access.is_open)
        if "admin" in caller.scopes:
            document |= admin_details(source.state) | {"problems": problems(handler, connection_problem)}
            document |= handler.rollout.describe()
        return json_response(document)

    return router


def describe(state: LoaderState, *, has_key: bool) -> dict[str, Any]:
    """Return the part of `/model` that every caller sees; the example is made up for callers without a key."""
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
        "example": (served.example if has_key else open_example(served)) if served else None,
        "fast_path": describe_selection(served.selection) if served else None,
        "tags": {tag: value for tag, value in _tags(state).items() if tag not in PERSONAL_TAGS},
        "notes": list(served.notes) if served else [],
        "waiting_for": None if served else public_reason(state.waiting_for),
    }


def admin_details(state: LoaderState) -> dict[str, Any]:
    """Return the part of `/model` that only admins see."""
    served = state.current
    return {
        "tags": _tags(state),
        "signed_by": served.signed_by if served else None,
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


def _tags(state: LoaderState) -> dict[str, str]:
    return dict(sorted(state.current.tags.items())) if state.current else {}


def describe_selection(selection: Selection) -> dict[str, Any]:
    """Return whether the fast path is used, which steps scikit-learn still computes, and why there is none."""
    return {
        "used": selection.fast is not None,
        "by_scikit_learn": list(selection.fast.by_scikit_learn) if selection.fast else [],
        "reason": selection.reason,
    }


def problems(handler: RequestHandler, connection_problem: str | None) -> list[str]:
    """Return what is wrong with keys, tokens, the request log and installed libraries now."""
    log_problem = handler.request_log.problem
    found = [connection_problem, handler.metrics.problem, f"the request log: {log_problem}" if log_problem else None]
    return [*handler.access.problems, *(problem for problem in found if problem is not None)]
