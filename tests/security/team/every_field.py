"""Walk a custom resource's schema: every field once, with a value that the schema accepts."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from platform_lib.infra.team.allow_list import Shape, Value
from tests.security.team.team_lab import copied

Path = tuple[str, ...]
ITEM = "[]"


def leaves(schema: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Path and schema of every field that holds a value; lists are entered at `[]`."""
    if schema.get("properties"):
        for name, inner in schema["properties"].items():
            yield from leaves(inner, (*path, name))
    elif schema.get("type") == "array":
        yield from leaves(schema.get("items") or {}, (*path, ITEM))
    else:
        yield path, schema


def is_listed(shape: Shape, path: Path) -> bool:
    """Whether an allow-list names this field. A value with a rule counts as named: the rule decides."""
    if shape is None or isinstance(shape, Value) or not path:
        return True
    if isinstance(shape, Mapping):
        return path[0] in shape and is_listed(shape[path[0]], path[1:])
    assert isinstance(shape, Sequence)
    return path[0] == ITEM and is_listed(shape[0], path[1:])


def sample(schema: Mapping[str, Any]) -> Any:
    """A value that the schema accepts, with no more than it requires."""
    if "default" in schema:
        return schema["default"]
    if schema.get("enum"):
        return next(value for value in schema["enum"] if value != "")
    if schema.get("properties"):
        return {name: sample(schema["properties"][name]) for name in schema.get("required", [])}
    kind = schema.get("type")
    if kind == "object":
        inner = schema.get("additionalProperties")
        return {"key": sample(inner) if isinstance(inner, Mapping) else "value"}
    if kind == "array":
        return [sample(schema.get("items") or {})]
    if kind in ("integer", "number"):
        return max(int(schema.get("minimum", 1)), 1)
    if kind == "boolean":
        return True
    return _text(schema)


def _text(schema: Mapping[str, Any]) -> Any:
    if schema.get("x-kubernetes-int-or-string"):
        return 1
    pattern = str(schema.get("pattern", ""))
    for value in ("/text", "30s", "1MB", "http://example.com", "1", "v1", "500", "warn"):
        if re.search(pattern, value) and len(value) >= schema.get("minLength", 0):
            return value
    raise AssertionError(f"no sample for {schema}: add one")


def with_field(body: Any, schema: Mapping[str, Any], path: Path) -> Any:
    """The body with one field more; objects on the way get what they require."""
    if not path:
        return sample(schema)
    if path[0] == ITEM:
        items = copied(body) if body else [sample(schema["items"])]
        items[0] = with_field(items[0], schema["items"], path[1:])
        return items
    whole = sample(schema) | copied(body) if isinstance(body, Mapping) else sample(schema)
    name = path[0]
    return {**whole, name: with_field(whole.get(name), schema["properties"][name], path[1:])}
