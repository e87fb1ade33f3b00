"""The OpenAPI document with the real columns of the served version, from its data contract. Follows a hot swap."""

import copy
from collections.abc import Iterable
from typing import Any

from platform_lib.serving.models.described_model import keyed_view, public_view
from platform_lib.serving.models.served_model import ServedModel
from platform_lib.serving.protocols.codec import Codec
from platform_lib.serving.protocols.schemas import Schema

_PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
    },
}


def describe_model(
    document: dict[str, Any], served: ServedModel | None, codecs: Iterable[Codec], *, needs_key: bool, has_key: bool
) -> dict[str, Any]:
    """Return the generic document with the codecs' schemas, and the served version's columns and examples.

    Args:
        document: Of the application's routes.
        served: None while no version is loaded.
        codecs: The protocols.
        needs_key: Whether predictions need a key.
        has_key: Whether the caller has one. Only then do known values, ranges, classes and a real example appear.
    """
    described = None if served is None else keyed_view(served) if has_key else public_view(served)
    document = copy.deepcopy(document)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    examples: dict[str, dict[str, Any]] = {}
    for codec in codecs:
        schemas.update(codec.schemas(described))
        if described is not None and described.example:
            examples[f"#/components/schemas/{codec.operation.request_schema}"] = codec.examples(described)
    # Relative to the document itself, so that a proxy's prefix is kept.
    document["servers"] = [{"url": "./", "description": "This server."}]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    for operation in operations:
        # An operation that can return 401 is one that needs a key.
        operation["security"] = [{"key": []}, {"header": []}] if needs_key and "401" in operation["responses"] else []
        for media in operation.get("requestBody", {}).get("content", {}).values():
            if (bodies := examples.get(str(media["schema"].get("$ref")))) is not None:
                media["examples"] = {name: {"value": body} for name, body in bodies.items()}
    if needs_key:
        components["securitySchemes"] = {
            "key": {
                "type": "http",
                "scheme": "bearer",
                "description": "A key of `mlp keys`, or a token of the OIDC issuer.",
            },
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
    if served is not None:
        contract = served.model.contract
        document["info"]["title"] = f"{served.model.name}, version {served.model.version}"
        document["info"]["description"] = f"Predicts {contract.target} ({contract.task})."
    return document
