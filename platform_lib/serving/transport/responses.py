"""JSON responses. Numbers keep every digit."""

from typing import Any

import msgspec
from starlette.responses import Response

_encoder = msgspec.json.Encoder()


def json_response(value: Any, status: int = 200) -> Response:
    """Return a JSON response. The value holds no NaN: `predictor` refuses them."""
    return Response(_encoder.encode(value), status, media_type="application/json")
