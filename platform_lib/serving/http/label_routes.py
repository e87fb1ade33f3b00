"""`POST /labels`: ground truth that arrives after the prediction, by request id. `request_log` stores it."""

import math
from functools import partial
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from platform_lib.errors import UsageError
from platform_lib.serving.handler import RequestHandler
from platform_lib.serving.http.routes import PROBLEM_RESPONSES, json_body
from platform_lib.serving.problems import Problem
from platform_lib.serving.protocols.json_body import BodyError, decode_json
from platform_lib.serving.protocols.json_structure import check_names_differ, holds_more
from platform_lib.serving.transport.responses import json_response


class _Label(msgspec.Struct, forbid_unknown_fields=True):
    request_id: str
    label: str | int | float | bool
    row: int | float | msgspec.UnsetType = msgspec.UNSET
    """Row of that request, from 0, which is the default. A float, because JSON has no integer type: 1.0 is 1."""


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
    off = {**PROBLEM_RESPONSES[503], "description": "This server keeps no request log, or is busy."}

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
        try:
            if not handler.request_log.is_enabled:
                raise Problem(503, "this server keeps no request log and so stores no labels: start it with --log.")
            given = await handler.decode(body, partial(decode_labels, body, handler.limits.max_rows))
            await handler.request_log.room()
            handler.request_log.labels(given)
        except BodyError as err:
            raise Problem(400, str(err)) from err
        except UsageError as err:
            raise Problem(422, str(err)) from err
        finally:
            handler.bodies.release(body)
        return json_response({"accepted": len(given)})

    return router


def decode_labels(body: bytes, max_labels: int) -> list[tuple[str, int, str]]:
    """Return request ID, row within the request and label of each label in a body.

    Raises:
        BodyError: The body does not have the form.
        UsageError: There are no labels or more than `max_labels`, or a value cannot be one.
    """
    if holds_more(body, max_rows=max_labels, columns=1):
        raise _too_many(f"more than {max_labels} labels", max_labels)
    given: list[_Label] = decode_json(_decoder, body, _FORM).labels
    check_names_differ(body, sum(2 if label.row is msgspec.UNSET else 3 for label in given) - 1)
    if not given:
        raise UsageError("labels is empty, expected at least one.")
    if len(given) > max_labels:
        raise _too_many(f"{len(given)} labels", max_labels)
    return [(label.request_id, _row(label, number), _text(label.label, number)) for number, label in enumerate(given)]


def _too_many(count: str, max_labels: int) -> UsageError:
    return UsageError(
        f"the body holds {count}, but the maximum per request is {max_labels}. Split them into several requests."
    )


def _row(label: _Label, number: int) -> int:
    row = 0 if label.row is msgspec.UNSET else label.row
    if not 0 < len(label.request_id) <= 128 or not 0 <= row <= _LARGEST_ROW or int(row) != row:
        raise UsageError(f"label {number}: expected a request_id of 1-128 characters and a row from 0.")
    return int(row)


def _text(label: str | float | bool, number: int) -> str:  # noqa: FBT001  a label may be one
    if isinstance(label, float) and not math.isfinite(label):
        raise UsageError(f"label {number}: label is {label}, expected a text, a finite number, true or false.")
    return ("true" if label else "false") if isinstance(label, bool) else str(label)
