"""The attempts of `surface`, sent in ways in which one part of a server may read another request than the next one."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.infra.services.surface import ATTEMPTS, Attempt, Target, filled

JSON_TYPES = ("application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8")
"""Content types with which a body is JSON for everybody."""
OTHER_TYPES = (
    None,
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/vnd.api+json",
    "application/json, text/plain",
    "application/octet-stream",
)
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, kw_only=True, slots=True)
class Disguise:
    """One request."""

    name: str
    attempt: Attempt
    method: str
    url: str
    """With its query."""
    content: bytes | None = None
    content_type: str | None = None
    is_plain: bool = False
    """Nothing about it is unusual, except who sends it."""

    def send(self, client: httpx.Client) -> httpx.Response:
        headers = {"Content-Type": self.content_type} if self.content_type else {}
        return client.request(self.method, self.url, content=self.content, headers=headers)


def disguises(theirs: Target, mine: Target) -> Iterator[Disguise]:
    """All requests that a team could hide an attempt at `theirs` in, with what it owns (`mine`) as the cover."""
    for attempt in ATTEMPTS:
        yield from _of(attempt, theirs, mine)


def _of(attempt: Attempt, theirs: Target, mine: Target) -> Iterator[Disguise]:
    path, wanted, cover = attempt.url(theirs), parameters(attempt, theirs), parameters(attempt, mine)
    body, cover_body = json.dumps(wanted).encode(), json.dumps(cover).encode()

    def made(name: str, **values: Any) -> Disguise:
        whole: dict[str, Any] = {"name": name, "attempt": attempt, "method": attempt.method, "url": path} | values
        return Disguise(**whole)

    for method in set(METHODS) - {attempt.method}:
        yield made(f"as {method}", method=method, url=_with(path, attempt, theirs), content=attempt.body(theirs))
    if attempt.content is not None:
        return  # the body is a file
    for url, target in ((path, mine), (attempt.url(mine), theirs)) if attempt.path else ():
        named = json.dumps({**parameters(attempt, target), **filled(attempt.path, target)}).encode()
        yield made("one in the path, another in the body", url=url, content=named, content_type=JSON_TYPES[0])
    if attempt.json is None:
        types: tuple[str | None, ...] = (*JSON_TYPES, *OTHER_TYPES)
        for content_type in types if wanted else ():
            plain = {"content": body, "content_type": content_type}
            yield made(f"own query, body {content_type}", url=f"{path}?{as_query(cover)}", **plain)
            yield made(f"no query, body {content_type}", **plain)
        for one, other in ((cover, wanted), (wanted, cover)):
            if wanted:
                yield made("query twice", url=f"{path}?{as_query(one)}&{as_query(other)}")
        return
    for content_type in JSON_TYPES:
        yield made(f"as {content_type}", content=body, content_type=content_type, is_plain=True)
    for content_type in OTHER_TYPES:
        plain = {"content": body, "content_type": content_type}
        yield made(f"body {content_type}", **plain)
        yield made(f"own query, body {content_type}", url=f"{path}?{as_query(cover)}", **plain)
        yield made(
            f"query, own body {content_type}",
            url=f"{path}?{as_query(wanted)}",
            content=cover_body,
            content_type=content_type,
        )
    json_type = {"content_type": JSON_TYPES[0]}
    yield made("own query, body", url=f"{path}?{as_query(cover)}", content=body, **json_type)
    yield made("query, own body", url=f"{path}?{as_query(wanted)}", content=cover_body, **json_type)
    yield made("query only", url=f"{path}?{as_query(wanted)}")
    yield made("as a form", content=as_query(wanted).encode(), content_type=OTHER_TYPES[2])
    for one, other in ((cover, wanted), (wanted, cover)):
        yield made("keys twice", content=_twice(one, other), **json_type)
        yield made("two spellings", content=json.dumps({**one, **_camel(other)}).encode(), **json_type)
        if _uuid(other) != other:
            yield made("two names of a run", content=json.dumps({**one, **_uuid(other)}).encode(), **json_type)
    yield made("text in text", content=json.dumps(body.decode()).encode(), **json_type)
    yield made("in a list", content=json.dumps([wanted]).encode(), **json_type)
    yield made("with a BOM", content=b"\xef\xbb\xbf" + body, **json_type)
    yield made("as UTF-16", content=body.decode().encode("utf-16"), **json_type)


def parameters(attempt: Attempt, target: Target) -> dict[str, Any]:
    """What an attempt says about a target, in its body or else its query."""
    found: dict[str, Any] = filled(attempt.json if attempt.json is not None else attempt.query, target)
    return found


def _with(path: str, attempt: Attempt, target: Target) -> str:
    query = filled(attempt.query, target)
    return f"{path}?{as_query(query)}" if query else path


def as_query(values: Mapping[str, Any]) -> str:
    pairs = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return urlencode(pairs)


def _twice(one: Mapping[str, Any], other: Mapping[str, Any]) -> bytes:
    pairs = [f"{json.dumps(key)}: {json.dumps(value)}" for item in (one, other) for key, value in item.items()]
    return f"{{{', '.join(pairs)}}}".encode()


def _camel(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The spelling of protobuf's JSON; a name of one word gets a capital."""

    def spelled(key: str) -> str:
        first, *rest = key.split("_")
        return first + "".join(word.title() for word in rest) if rest else first.title()

    return {spelled(key): value for key, value in parameters.items()}


def _uuid(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {{"run_id": "run_uuid", "run_uuid": "run_id"}.get(key, key): value for key, value in parameters.items()}
