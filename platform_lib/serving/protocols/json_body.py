"""Decode JSON bodies with typed decoders, and explain what is wrong with a body."""

import json
from typing import Any

import msgspec

from platform_lib.errors import UsageError

_INDENT = 1_000
"""Leading white space beyond this is not looked through."""


class BodyError(UsageError):
    """The body does not have the protocol's form. A row that does not fit the contract is another error."""


def decode_json(decoder: "msgspec.json.Decoder[Any]", body: bytes, form: str) -> Any:
    """Decode a body with a typed decoder.

    Python clients, including those of MLflow and Triton, write NaN for a missing value, although JSON has no NaN. It is
    accepted, and so are Infinity and numbers that exceed every float: the contract then validates them as values of
    their row, in every protocol alike.

    Args:
        decoder: Of the expected type.
        body: The bytes of the request.
        form: The expected form, for the error message.
    Raises:
        BodyError: The body is not JSON, or not of the decoder's type.
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
        pass  # the strict decoder's error is the better explanation
    if isinstance(strict, msgspec.ValidationError):
        raise BodyError(f"the body does not have the form {form}: {strict}") from strict
    raise BodyError(f"the body is not JSON: {strict}") from strict


def may_be_object(body: bytes) -> bool:
    """Return whether the body begins as every request does. Decoders refuse any other at its first byte."""
    return body[:1] == b"{" or body[:_INDENT].lstrip()[:1] == b"{" or not body[:_INDENT].strip()


def _may_hold_constants(body: bytes, strict: Exception) -> bool:
    return may_be_object(body) and (b"NaN" in body or b"Infinity" in body or "out of range" in str(strict))


def _with_constants(body: bytes) -> Any:
    """Python's decoder knows the constants. It also accepts lone surrogates, which are not text: encoding the result
    raises ValueError for them."""
    values = json.loads(body.decode())
    json.dumps(values, ensure_ascii=False).encode()
    return values
