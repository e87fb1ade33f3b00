"""Rules for the values of a canonical request: names, identifiers, paths, sources and GraphQL queries.

A value with two spellings, or one that looks like another, is refused before MLflow reads it. Does not import
`platform_lib`.
"""

import base64
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

MODEL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
EXPERIMENT_NAME: Final = re.compile(r"[A-Za-z0-9/]([A-Za-z0-9._/-]| (?! )){0,198}(?<! )")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}")
_LOGGED_MODEL_SOURCE: Final = re.compile(r"models:/m-[A-Za-z0-9]{1,64}")
_VERSION_SOURCE: Final = re.compile(rf"models:/{MODEL_NAME.pattern}/[1-9][0-9]{{0,8}}")
_GRAPHQL_TEXT: Final = re.compile(r'"""(?:\\"""|.)*?"""|"(?:\\.|[^"\\\n])*"|#[^\n]*', re.DOTALL)
_MAX_PATH, _MAX_PART = 900, 255  # what a bucket and a file system can hold
_MAX_GRAPHQL_LENGTH, _MAX_GRAPHQL_DEPTH, _MAX_GRAPHQL_FRAGMENTS = 20_000, 20, 50

STAMPS: Final = frozenset({"mlp.promoted_by", "mlp.promoted_at"})
"""Tags that only this server writes."""


def problem(rule: str, values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the values of a request to a route, as one sentence; None if nothing is."""
    return next(_problems(rule, values), None)


def _problems(rule: str, values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in _leaves(values):
        if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            yield f"{name} has a character that cannot be stored (NUL or half a surrogate pair)."
        check = _check_of(rule, name)
        if check is not None and (wrong := check(value)):
            yield f"{name} is {value[:100]!r}: {wrong}."
    if rule == "/graphql" and (wrong := _graphql_problem(values.get("query"))):
        yield wrong


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield (name of the parameter or field, text) for all texts in the values."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _leaves(one, str(key))
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, name)


def _check_of(rule: str, name: str) -> Callable[[str], str | None] | None:
    if rule == "/graphql":
        return None
    if name in ("name", "new_name"):
        if "/registered-models/" in rule or "/model-versions/" in rule:
            return _model_name
        return _experiment_name if "/mlflow/experiments/" in rule else _label
    if name == "path" and "/mpu/" in rule:
        return _file
    if name == "page_token" and rule.endswith("/artifacts/list"):
        return None  # of the bucket
    if name == "source" and not rule.endswith("/model-versions/create"):
        return None  # of a dataset: any text
    return _CHECKS.get(name)


def _matches(pattern: re.Pattern[str], remedy: str) -> Callable[[str], str | None]:
    return lambda value: None if pattern.fullmatch(value) else remedy


_model_name = _matches(
    MODEL_NAME,
    "the name of a model has letters a-z, digits, '.', '_' and '-', starts with a letter or digit, and has at most 100 "
    "characters",
)
_experiment_name = _matches(
    EXPERIMENT_NAME,
    "the name of an experiment has letters a-z, digits, '.', '_', '-', '/' and single spaces between them, and at most "
    "199 characters",
)


def is_invisible(letter: str) -> bool:
    """Whether a character shows nothing, or changes how others are shown: controls, zero-width letters, separators."""
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _label(value: str) -> str | None:
    if value != value.strip():
        return "remove the white space at its start or end"
    if any(is_invisible(letter) for letter in value):
        return "remove the invisible character"
    if unicodedata.normalize("NFKC", value) != value:
        return "write it with ordinary letters (Unicode NFKC)"
    return None


def _path(value: str) -> str | None:
    if any(is_invisible(letter) for letter in value) or re.search(r"[%#?\\]", value):
        return "a path has no invisible characters and none of % # ? \\"
    if value and any(part.strip() in ("", ".", "..") for part in value.removesuffix("/").split("/")):
        return "give a relative path without empty parts, '.' and '..'"
    if len(value.encode()) > _MAX_PATH or any(len(part.encode()) > _MAX_PART for part in value.split("/")):
        return f"a path has at most {_MAX_PATH} bytes, and each part {_MAX_PART}"
    return None


def _file(value: str) -> str | None:
    """Check a path on the client's own disk, of which MLflow takes the last part."""
    return _path(value.replace("\\", "/").rsplit("/", 1)[-1] or ".")


def _source(value: str) -> str | None:
    if value.startswith("models:") and not (_LOGGED_MODEL_SOURCE.fullmatch(value) or _VERSION_SOURCE.fullmatch(value)):
        return "write models:/m-… for a logged model or models:/NAME/VERSION for a version"
    if any(is_invisible(letter) for letter in value) or re.search(r"[%#?\\\s]|(^|/)\.{1,2}(/|$)", value):
        return "a source has no spaces, no '.' or '..' as part of its path, and none of % # ? \\"
    return None


def _page_token(value: str) -> str | None:
    try:
        wrong = value != "" and not isinstance(json.loads(base64.b64decode(value.encode("ascii"))), dict)
    except (ValueError, RecursionError):
        wrong = True
    return "give the next_page_token of the page before, as it is" if wrong else None


def _model_json(value: str) -> str | None:
    try:
        wrong = not isinstance(json.loads(value), dict)
    except (ValueError, RecursionError):
        wrong = True
    return "give the MLmodel as a JSON object" if wrong else None


def _whole_number(value: str) -> str | None:
    return None if re.fullmatch(r"-?[0-9]{1,18}", value) else "give a whole number"


_id = _matches(
    re.compile(rf"({_ID.pattern})?"),  # an empty one is a run or model that is not there
    "an identifier has letters, digits, '_' and '-'",
)
_experiment_id = _matches(re.compile(r"0|[1-9][0-9]{0,18}"), "the ID of an experiment is a number")
_CHECKS: Final[Mapping[str, Callable[[str], str | None]]] = {
    **dict.fromkeys(("run_id", "run_ids", "run_uuid", "source_run_id", "model_id", "source_id", "destination_id"), _id),
    **dict.fromkeys(("experiment_id", "experiment_ids"), _experiment_id),
    "experiment_name": _experiment_name,
    "version": _matches(re.compile(r"[1-9][0-9]{0,8}"), "a version is a number"),
    "alias": _matches(re.compile(r"[A-Za-z0-9_-]{1,255}"), "an alias has letters, digits, '_' and '-'"),
    **dict.fromkeys(("key", "tag_key", "metric_key", "stage", "stages"), _label),
    **dict.fromkeys(("path", "artifact_path", "artifact_file_path", "artifact_directory_path"), _path),
    **dict.fromkeys(("max_results", "start_step", "end_step"), _whole_number),
    "source": _source,
    "page_token": _page_token,
    "model_json": _model_json,
}


def _graphql_problem(query: Any) -> str | None:
    if not isinstance(query, str) or len(query) > _MAX_GRAPHQL_LENGTH:
        return f"query is not a text of at most {_MAX_GRAPHQL_LENGTH} characters."
    plain = _GRAPHQL_TEXT.sub(" ", query)
    if plain.count("...") > _MAX_GRAPHQL_FRAGMENTS:
        return f"query has more than {_MAX_GRAPHQL_FRAGMENTS} fragments."
    depth = 0
    for letter in plain:
        depth += (letter in "{[(") - (letter in "}])")
        if depth > _MAX_GRAPHQL_DEPTH:
            return f"query is nested more than {_MAX_GRAPHQL_DEPTH} levels deep."
    return _graphql_error(query)


def _graphql_error(query: str) -> str | None:
    from graphql import GraphQLError, parse  # MLflow's own parser

    try:
        parse(query)
    except (GraphQLError, RecursionError) as err:
        return f"query is not GraphQL: {str(err).splitlines()[0][:100]}."
    return None


def is_forged(rule: str, values: Mapping[str, Any]) -> bool:
    """Whether a request would write or delete a tag of a model that only this server writes."""
    is_model = "/registered-models/" in rule or "/model-versions/" in rule
    return is_model and any(name == "key" and value in STAMPS for name, value in _leaves(values))


def resembles(name: str) -> tuple[str, str]:
    """Return what names that look alike have in common, and a LIKE pattern that finds at least all of them.

    Names look alike if they differ in case, in '.', '_', '-' and ' ', or in one of the pairs o 0 and l i 1.
    """
    skeleton = re.sub(r"[._ -]", "-", name.casefold()).translate(str.maketrans("oli", "011"))
    return skeleton, re.sub(r"[._ 0oOlLiI1-]", "_", name)


def owns_name(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name is one of `NAME` or `PREFIX*`."""
    return any(name.startswith(one[:-1]) if one.endswith("*") else name == one for one in patterns)
