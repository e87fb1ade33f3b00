"""Parse a request to a listed route of MLflow into one canonical form, or refuse it.

MLflow's authorization and its handlers read a request in different ways: the query or the body, one or the other
spelling of a field, the first or the last of two values. After this module both see the same values, because every
parameter occurs once, at the one place where its route takes it, in the spelling of MLflow's protobuf files.
Does not import `platform_lib`.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes, urlencode

if TYPE_CHECKING:
    from mlflow_routes import Route

MAX_BODY: Final = 8 * 2**20
"""Bytes of a JSON body. MLflow's largest, a batch of metrics, may have 1 MB."""
_MAX_DEPTH = 24
_SAME = ("run_id", "run_uuid")
"""Two names of one thing, which MLflow's own clients send together."""


class UnusualRequest(Exception):
    """A request that could be read in two ways. The message is one sentence for the caller."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Canonical:
    """A request as MLflow receives it."""

    route: "Route"
    values: Mapping[str, Any]
    """Every parameter, whether it came in the path, the query or the body."""
    query: bytes
    body: bytes | None
    """None if the route takes a file."""


def canonical(
    route: "Route",
    *,
    raw_path: bytes,
    path: str,
    query: bytes,
    headers: Sequence[tuple[bytes, bytes]],
    body: bytes,
    message: Any = None,
) -> Canonical:
    """Parse a request.

    Args:
        route: From `find_route`.
        raw_path: The path as it was sent.
        path: The decoded path.
        query: The query as it was sent.
        headers: Lower-case names and values.
        body: The whole body; ignored if the route takes a file.
        message: Descriptor of the protobuf message that MLflow parses the request into, if it does.
    Raises:
        UnusualRequest: Something in it could be read in two ways.
    """
    in_path = _in_path(route, raw_path, path)
    in_query = _in_query(route, query, message)
    in_body = {} if route.takes_file else _in_body(route, headers, body, message)
    for name, value in in_path.items():
        if in_body.get(name, value) != value:
            raise UnusualRequest(f"{name} is {value!r} in the path and {in_body[name]!r} in the body: name one.")
    found = in_query if route.query else in_body
    declared = route.query if route.query else route.body
    if all(name in declared for name in _SAME):
        given = [found[name] for name in _SAME if name in found]
        if len(set(given)) > 1:
            raise UnusualRequest(f"run_id and run_uuid are two different runs, {' and '.join(given)}: name one.")
        found.update({name: given[0] for name in _SAME if given})
    pairs = [(name, one) for name, value in in_query.items() for one in (value if isinstance(value, list) else [value])]
    text = b"" if route.method == "GET" else json.dumps(in_body).encode()
    return Canonical(
        route=route,
        values={**in_query, **in_body, **in_path},
        query=urlencode(pairs).encode(),
        body=None if route.takes_file else text,
    )


def _in_path(route: "Route", raw: bytes, path: str) -> dict[str, Any]:
    # One pass of decoding gives what MLflow's router sees; a path that would change in another pass is refused below.
    if re.search(rb"%(?![0-9A-Fa-f]{2})|%(?:2[EeFf5]|5[Cc]|3[0-9]|4[1-9A-Fa-f]|5[0-9Aa]|6[1-9A-Fa-f]|7[0-9Aa])", raw):
        raise UnusualRequest("the path has percent-encoded letters, digits, dots, slashes or percent signs.")
    if b"%" in raw and unquote_to_bytes(raw) != path.encode():
        raise UnusualRequest("the path is not percent-encoded UTF-8.")
    found = route.pattern.fullmatch(re.sub(r"\A/ajax-api/", "/api/", path))
    return dict(found.groupdict()) if found else {}


def _in_query(route: "Route", query: bytes, message: Any) -> dict[str, Any]:
    if route.rule == "/":
        return {}  # MLflow's page; its address may have anything, which only the browser reads
    fields = _fields(message) if route.method == "GET" else {}
    values: dict[str, Any] = {}
    for name, text in _pairs(query):
        if name not in route.query:
            raise UnusualRequest(f"{name!r} is not a parameter of {_shown(route)} in the query; {_known(route)}.")
        field = fields.get(name)
        value = text if field is None else _query_value(field, text, name)
        if route.query[name] == "[]":
            values.setdefault(name, []).append(value)
        elif name in values:
            raise UnusualRequest(f"{name} occurs twice in the query: name one.")
        else:
            values[name] = value
    return values


def _pairs(query: bytes) -> Iterator[tuple[str, str]]:
    for part in filter(None, query.split(b"&")):
        name, _, value = part.partition(b"=")
        if not re.fullmatch(rb"\w+", name):
            raise UnusualRequest("a name in the query has other characters than letters and underscores.")
        if re.search(rb"%(?![0-9A-Fa-f]{2})", value):
            raise UnusualRequest(f"{name.decode()} in the query is not percent-encoded.")
        try:
            yield name.decode(), unquote_to_bytes(value.replace(b"+", b" ")).decode()
        except UnicodeDecodeError:
            raise UnusualRequest(f"{name.decode(errors='replace')} in the query is not UTF-8.") from None


def _query_value(field: Any, text: str, name: str) -> Any:
    """Check a value of the query like the body's, and keep it as text, as MLflow's handlers expect it."""
    if field.type == field.TYPE_BOOL:
        if text.lower() not in ("true", "false"):
            raise UnusualRequest(f"{name} is {text!r}: give true or false.")
        return text.lower()
    if field.type == field.TYPE_MESSAGE:
        raise UnusualRequest(f"{name} cannot be given in the query.")
    return str(_scalar(field, text, name))


def _in_body(route: "Route", headers: Sequence[tuple[bytes, bytes]], body: bytes, message: Any) -> dict[str, Any]:
    if any(name == b"content-encoding" for name, _ in headers):
        raise UnusualRequest("the body is compressed: send it as it is, without Content-Encoding.")
    if not body:
        return {}
    if route.method == "GET":
        raise UnusualRequest(f"{_shown(route)} takes no body: give parameters in the query.")
    types = [value.decode("latin-1") for name, value in headers if name == b"content-type"]
    if len(types) != 1 or not re.fullmatch(
        r"application/json\s*(;\s*charset\s*=\s*\"?utf-?8\"?\s*)?", types[0], re.IGNORECASE
    ):
        given = " and ".join(types) if types else "missing"
        raise UnusualRequest(f"the Content-Type is {given[:80]}: send JSON, as application/json.")
    found = _parse(body)
    if not isinstance(found, dict):
        raise UnusualRequest("the body is not a JSON object.")
    return _object(found, message, "", route)


def _parse(body: bytes) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            twice = next(name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1)
            raise UnusualRequest(f"{twice[:80]!r} occurs twice in an object of the body: name it once.")
        return made

    def refused(constant: str) -> Any:
        raise UnusualRequest(f'{constant} is not JSON: write it as text, "{constant}".')

    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=once, parse_constant=refused)
    except (ValueError, RecursionError) as err:  # also UnicodeDecodeError, and numbers of thousands of digits
        raise UnusualRequest(f"the body is not JSON in UTF-8: {str(err)[:80]}.") from None


def _object(value: Mapping[str, Any], message: Any, where: str, route: "Route | None" = None) -> dict[str, Any]:
    """Check an object against the fields of a message, and at the top against the route's parameters."""
    fields = _fields(message)
    allowed = fields if route is None else {name: fields.get(name) for name in route.body}
    made: dict[str, Any] = {}
    for name, one in value.items():
        at = f"{where}.{name}" if where else name
        if name not in allowed:
            spelled = next((field.name for field in fields.values() if field.json_name == name), None)
            what = f"write {spelled}" if spelled in allowed else _known(route) if route else f"it has {_list(fields)}"
            raise UnusualRequest(f"{at[:80]!r} is not a parameter of {_shown(route)} in the body; {what}.")
        if one is not None:  # MLflow takes null for a parameter that is not there
            field = allowed[name]
            made[name] = _plain(one, route.body[name], at) if field is None and route else _field(field, one, at)
    return made


def _plain(value: Any, kind: str, at: str) -> Any:
    """Check a parameter that MLflow reads without protobuf."""
    if kind == "{}" and isinstance(value, dict):
        _check_depth(value, at)
        return value
    if kind == "[]" and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    if not kind and isinstance(value, str):
        return value
    expected = {"": "text", "[]": "a list of texts", "{}": "an object"}[kind]
    raise UnusualRequest(f"{at} is {_short(value)}: give {expected}.")


def _check_depth(value: Any, at: str, depth: int = 0) -> None:
    if depth > _MAX_DEPTH:
        raise UnusualRequest(f"{at} is nested more than {_MAX_DEPTH} levels deep.")
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_depth(one, at, depth + 1)


def _field(field: Any, value: Any, at: str) -> Any:
    if not _is_repeated(field):
        return _single(field, value, at)
    entry = field.message_type if field.type == field.TYPE_MESSAGE else None
    if entry is not None and entry.GetOptions().map_entry:
        if not isinstance(value, dict):
            raise UnusualRequest(f"{at} is {_short(value)}: give an object.")
        return {key: _single(entry.fields_by_name["value"], one, f"{at}.{key}") for key, one in value.items()}
    if not isinstance(value, list):
        raise UnusualRequest(f"{at} is {_short(value)}: give a list.")
    return [_single(field, one, f"{at}[{index}]") for index, one in enumerate(value)]


def _is_repeated(field: Any) -> bool:
    found = getattr(field, "is_repeated", None)  # of newer releases, which deprecate `label`
    return bool(field.label == field.LABEL_REPEATED if found is None else found)


def _single(field: Any, value: Any, at: str) -> Any:
    if field.type != field.TYPE_MESSAGE:
        return _scalar(field, value, at)
    if field.message_type.full_name.startswith("google.protobuf."):
        _check_depth(value, at)
        return value
    if not isinstance(value, dict):
        raise UnusualRequest(f"{at} is {_short(value)}: give an object.")
    return _object(value, field.message_type, at)


def _scalar(field: Any, value: Any, at: str) -> Any:
    """Return a value in the one form of its type."""
    if field.type == field.TYPE_ENUM:
        if isinstance(value, str) and value in field.enum_type.values_by_name:
            return value
        raise UnusualRequest(f"{at} is {_short(value)}: give one of {_list(field.enum_type.values_by_name)}.")
    kind = field.cpp_type
    if kind == field.CPPTYPE_BOOL and isinstance(value, bool):
        return value
    if kind in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT) and not isinstance(value, bool):
        if isinstance(value, (int, float)) and abs(value) <= sys.float_info.max:  # 1e400 is read as infinity
            return value
        if value in ("NaN", "Infinity", "-Infinity"):
            return value
    if kind in (field.CPPTYPE_INT32, field.CPPTYPE_INT64) and not isinstance(value, bool):
        number = int(value) if isinstance(value, str) and re.fullmatch(r"-?(0|[1-9][0-9]{0,18})", value) else value
        limit = 2**31 if kind == field.CPPTYPE_INT32 else 2**63
        if isinstance(number, int) and -limit <= number < limit:
            return number
    if kind == field.CPPTYPE_STRING and field.type == field.TYPE_STRING and isinstance(value, str):
        return value
    raise UnusualRequest(f"{at} is {_short(value)}, which is not a value of this parameter's type.")


def _fields(message: Any) -> dict[str, Any]:
    return {} if message is None else {field.name: field for field in message.fields}


def _known(route: "Route") -> str:
    names = [*route.query, *route.body]
    return f"it takes {_list(names)}" if names else "it takes none"


def _list(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"


def _shown(route: "Route | None") -> str:
    return f"{route.method} {route.rule}" if route else "this object"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
