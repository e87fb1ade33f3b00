"""The API's description with the real columns of the model that answers now, from its data contract. Follows a hot swap."""

import copy
from typing import Any

from platform_lib.serving.models.served_model import ServedModel
from platform_lib.serving.protocols.open_inference import PREDICTION, PROBABILITIES
from platform_lib.serving.protocols.schemas import (
    Schema,
    answer_schema,
    examples,
    invocation_schema,
    row_schema,
    rows_schema,
    tensors_answer_schema,
    tensors_schema,
)

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


def describe_model(document: dict[str, Any], served: ServedModel | None, *, needs_key: bool) -> dict[str, Any]:
    """The generic description with the schemas it refers to, and the served model's columns once there is one."""
    document = copy.deepcopy(document)
    components = document.setdefault("components", {})
    contract = served.model.contract if served else None
    row: Schema = {
        "type": "object",
        "description": "Column name to value; GET /model lists the columns once a model is loaded.",
    }
    components.setdefault("schemas", {}).update(
        {
            "Row": row if served is None or contract is None else row_schema(contract, served.example),
            "Rows": rows_schema(),
            "Answer": {"type": "object"}
            if served is None or contract is None
            else answer_schema(contract, served.example_prediction.classes),
            "Invocation": invocation_schema(contract),
            "InvocationAnswer": {
                "type": "object",
                "required": ["predictions"],
                "properties": {"predictions": {"type": "array"}},
            },
            "Tensors": tensors_schema(contract, _outputs(served)),
            "TensorsAnswer": tensors_answer_schema(),
            "Problem": _PROBLEM,
        }
    )
    # Relative to the description itself, so that a proxy's prefix is kept.
    document["servers"] = [{"url": "./", "description": "This server."}]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    for operation in operations:
        # Where no model is asked nothing can be refused, so what may answer 401 is what needs a key.
        operation["security"] = [{"key": []}, {"header": []}] if needs_key and "401" in operation["responses"] else []
    if needs_key:
        components["securitySchemes"] = {
            "key": {
                "type": "http",
                "scheme": "bearer",
                "description": "A key of `mlp keys`, or a token of the issuer.",
            },
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
    if served is None or contract is None:
        return document
    document["info"]["title"] = f"{served.model.name}, version {served.model.version}"
    document["info"]["description"] = f"Predicts {contract.target} ({contract.task})."
    _show_examples(operations, examples(contract, served.example))
    return document


def _outputs(served: ServedModel | None) -> list[str]:
    if served is None:
        return []
    return [PREDICTION, PROBABILITIES] if served.example_prediction.probabilities is not None else [PREDICTION]


def _show_examples(operations: list[dict[str, Any]], bodies: dict[str, dict[str, Any]]) -> None:
    for operation in operations:
        for media in operation.get("requestBody", {}).get("content", {}).values():
            schema = str(media["schema"].get("$ref", "")).rsplit("/", 1)[-1]
            if schema in bodies:
                media["examples"] = {name: {"value": body} for name, body in bodies[schema].items()}
