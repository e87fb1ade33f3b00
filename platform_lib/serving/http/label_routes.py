"""`POST /labels`: ground truth that arrives after the prediction, by request id. `request_log` stores it."""

from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from platform_lib.serving.handler import RequestHandler
from platform_lib.serving.http.routes import PROBLEM_RESPONSES, json_body
from platform_lib.serving.problems import Problem
from platform_lib.serving.protocols.json_body import BodyError, decode_json
from platform_lib.serving.transport.responses import json_response


class _Label(msgspec.Struct, forbid_unknown_fields=True):
    request_id: str
    label: str | int | float | bool
    row: int | float = 0
    """Row of that request, from 0. A float, because JSON has no integer type: 1.0 is 1."""


class _Labels(msgspec.Struct, forbid_unknown_fields=True):
    labels: list[_Label]


_decoder = msgspec.json.Decoder(_Labels)
_FORM = '{"labels": [{"request_id": "…", "label": …, "row": 0}, …]}'
_LARGEST_ROW = 2**31 - 1
_SCHEMA = {
    "type": "object",
    "required": ["labels"],
    "additionalProperties": False,
    "properties": {
        "labels": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["request_id", "label"],
                "additionalProperties": False,
                "properties": {
                    "request_id": {"type": "string", "minLength": 1, "maxLength": 128},
                    "label": {"type": ["string", "number", "boolean"]},
                    "row": {"type": "integer", "minimum": 0, "maximum": _LARGEST_ROW, "default": 0},
                },
            },
        }
    },
}


def label_routes(handler: RequestHandler) -> APIRouter:
    """The route `POST /labels`."""
    router = APIRouter()
    failures: dict[int | str, dict[str, Any]] = {
        code: PROBLEM_RESPONSES[code] for code in (400, 401, 403, 408, 413, 415, 422)
    }
    off = {**PROBLEM_RESPONSES[503], "description": "This server keeps no request log."}

    @router.post(
        "/labels",
        tags=["labels"],
        summary="Send ground truth for earlier predictions.",
        responses={**failures, 503: off},
        openapi_extra=json_body(_SCHEMA),
    )
    async def labels(request: Request) -> Response:
        await handler.access.check(request.headers, "labels")
        body = await handler.bodies.read(request.headers, request.receive)
        if not handler.request_log.is_enabled:
            raise Problem(503, "this server keeps no request log and so stores no labels: start it with --log.")
        try:
            given: list[_Label] = decode_json(_decoder, body, _FORM).labels
        except BodyError as err:
            raise Problem(400, str(err)) from err
        if not given:
            raise Problem(422, "labels is empty, expected at least one.")
        for number, label in enumerate(given):
            if (
                not 0 < len(label.request_id) <= 128
                or not 0 <= label.row <= _LARGEST_ROW
                or int(label.row) != label.row
            ):
                raise Problem(422, f"label {number}: expected a request_id of 1-128 characters and a row from 0.")
        await handler.request_log.room()
        handler.request_log.labels([(label.request_id, int(label.row), _text(label.label)) for label in given])
        return json_response({"accepted": len(given)})

    return router


def _text(label: str | float | bool) -> str:  # noqa: FBT001  a label may be one
    return ("true" if label else "false") if isinstance(label, bool) else str(label)
