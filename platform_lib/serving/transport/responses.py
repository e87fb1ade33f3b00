"""Answers as JSON bytes: numbers stay numbers to their last digit."""

from typing import Any

import msgspec
from starlette.responses import Response

_encoder = msgspec.json.Encoder()
JSON = b"application/json"


class EncodedResponse(msgspec.Struct, frozen=True, gc=False):
    """The body of an answer, and what its headers say of it."""

    body: bytes
    media_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


def json_bytes(value: Any) -> bytes:
    """As JSON. The value holds no NaN: `answering` refuses them, and JSON has none."""
    return _encoder.encode(value)


def json_response(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(json_bytes(value), status, media_type="application/json")
