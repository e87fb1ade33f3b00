"""Routes of the shared MLflow that teams may use, with the parameters of each. Does not import `platform_lib`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

ROUTES_FILE: Final = Path(__file__).with_name("mlflow_routes.txt")


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """A line of the routes file."""

    method: str
    rule: str
    """As MLflow's route table has it, with `/api/` in place of `/ajax-api/`."""
    pattern: re.Pattern[str]
    query: Mapping[str, str]
    """Parameter of the query → "" (one value) or "[]" (several)."""
    body: Mapping[str, str]
    """Parameter of the JSON body → "", "[]", or "{}" (any object). Has no effect on the types of protobuf fields."""
    takes_file: bool
    """Whether the body is a file, which is passed on as it is."""


@lru_cache(maxsize=1)
def routes() -> Mapping[tuple[str, str], Route]:
    """Return (method, rule) → route, for all lines of the routes file."""
    lines = ROUTES_FILE.read_text(encoding="utf-8").splitlines()
    made = [_route(line.split()) for line in lines if line and not line.startswith("#")]
    return {(route.method, route.rule): route for route in made}


def _route(words: Sequence[str]) -> Route:
    method, rule, *parameters = words
    split = re.split(r"<(path:)?(\w+)>", rule)  # text, "path:" or None, name, text, …
    pattern = re.escape(split[0])
    for index in range(1, len(split), 3):
        pattern += f"(?P<{split[index + 1]}>{'.+' if split[index] else '[^/]+'}){re.escape(split[index + 2])}"
    takes_file = "*" in parameters
    named = [re.fullmatch(r"(\??)(\w+)(\[\]|\{\})?", word) for word in parameters if word != "*"]
    fields = [(found[1] == "?" or method == "GET", found[2], found[3] or "") for found in named if found]
    return Route(
        method=method,
        rule=rule,
        pattern=re.compile(pattern, re.DOTALL),
        query={name: kind for in_query, name, kind in fields if in_query},
        body={name: kind for in_query, name, kind in fields if not in_query},
        takes_file=takes_file,
    )


@lru_cache(maxsize=1)
def messages() -> Mapping[tuple[str, str], Any]:
    """Return (method, rule) → descriptor of the message that MLflow parses the request into."""
    from mlflow.protos import databricks_pb2, mlflow_artifacts_pb2, model_registry_pb2, service_pb2

    services = (
        service_pb2.MlflowService,
        model_registry_pb2.ModelRegistryService,
        mlflow_artifacts_pb2.MlflowArtifactsService,
    )

    def rule(endpoint: Any) -> str:
        return f"/api/{endpoint.since.major}.0" + re.sub(r"{(\w+)}", r"<\1>", endpoint.path)

    found = {
        (endpoint.method, rule(endpoint)): method.input_type
        for service in services
        for method in service.DESCRIPTOR.methods
        for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints
    }
    return {key: found[key] for key in routes() if key in found}


def find_route(method: str, path: str) -> Route | None:
    """Return the listed route of a decoded path; None if no line matches."""
    path = re.sub(r"\A/ajax-api/", "/api/", path)
    return next((one for one in routes().values() if one.method == method and one.pattern.fullmatch(path)), None)
