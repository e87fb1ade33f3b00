"""Our own protocol, `POST /predict`: rows of names and values in. Its answer is `answering.as_json`."""

import json
from typing import Any

import msgspec

from platform_lib.errors import UsageError


class RowsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /predict`."""

    rows: list[dict[str, Any]]


_decoder = msgspec.json.Decoder(RowsRequest)


class BodyError(UsageError):
    """The body is not of the protocol's form; a row that does not fit the contract is another error."""


def decode_rows(body: bytes) -> list[dict[str, Any]]:
    """The rows of a body.

    Raises:
        BodyError: Not JSON, or not of the form.
    """
    request: RowsRequest = decode(_decoder, body, '{"rows": [{column: value, …}, …]}')
    return request.rows


def decode(decoder: "msgspec.json.Decoder[Any]", body: bytes, form: str) -> Any:
    """Decode a body with a typed decoder; `form` is what the error says was expected.

    Python's clients, MLflow's and Triton's among them, write gaps as NaN, which JSON has not. It is taken, and so are Infinity and numbers beyond
    every float: the contract then judges them as values of their row, whatever the protocol.
    """
    try:
        return decoder.decode(body)
    except RecursionError as err:
        raise BodyError("the body is nested too deeply.") from err
    except (msgspec.MsgspecError, UnicodeDecodeError) as err:
        strict = err
    try:
        if _may_hold_constants(body, strict):
            return msgspec.convert(_with_constants(body), decoder.type)
    except msgspec.ValidationError as err:
        strict = err
    except (ValueError, RecursionError):
        pass  # what the strict decoder said is the better word
    if isinstance(strict, msgspec.ValidationError):
        raise BodyError(f"the body is not of the form {form}: {strict}") from strict
    raise BodyError(f"the body is not JSON: {strict}") from strict


def _may_hold_constants(body: bytes, strict: Exception) -> bool:
    return b"NaN" in body or b"Infinity" in body or "out of range" in str(strict)


def _with_constants(body: bytes) -> Any:
    """Python's reader knows the constants. It also takes halves of surrogate pairs, which are no text: the encoding at the end raises ValueError."""
    values = json.loads(body.decode())
    json.dumps(values, ensure_ascii=False).encode()
    return values
