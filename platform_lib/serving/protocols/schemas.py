"""JSON schemas of request and response bodies, with the columns of one data contract. The codecs choose among them.

A body that fits its schema is accepted and one that does not is refused. Where JSON Schema cannot express a rule, such
as two lists of equal length, the description states it.
"""

import copy
from collections.abc import Sequence
from typing import Any

from platform_lib.data.contract import LARGEST_INTEGER, LARGEST_NUMBER, Column, DataContract
from platform_lib.model.artifact import category_text
from platform_lib.serving.protocols.tensors import column_datatype

Schema = dict[str, Any]

_TYPES: dict[str, Schema] = {
    "integer": {"type": "integer", "minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER},
    "number": {"type": "number", "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER},
    "boolean": {"type": "boolean"},
    "string": {"type": "string"},
    "datetime": {"type": "string", "format": "date-time"},
}
_SHOWN_CATEGORIES = 30
_ROW: Schema = {"$ref": "#/components/schemas/Row"}


def column_schema(column: Column) -> Schema:
    """Return the schema of one column. Known values and ranges are described, not enforced: new ones count as drift."""
    schema = copy.deepcopy(_TYPES[column.type])
    if column.nullable:
        schema["type"] = [schema["type"], "null"]
    notes = ["May be null."] if column.nullable else []
    if column.allowed:
        more = "…" if len(column.allowed) > _SHOWN_CATEGORIES else ""
        notes.append("Known values: " + ", ".join(map(str, column.allowed[:_SHOWN_CATEGORIES])) + more + ".")
        schema["x-known-values"] = list(column.allowed)
    if column.min is not None or column.max is not None:
        notes.append(f"Seen in training: {_limit(column.min, column)} to {_limit(column.max, column)}.")
    if column.type == "datetime":
        notes.append("ISO 8601, a date or a date and time; UTC if it has no offset.")
    if notes:
        schema["description"] = " ".join(notes)
    return schema


def _limit(value: float | None, column: Column) -> str:
    if value is None:
        return "…"
    return str(int(value)) if column.type == "integer" else f"{value:g}"


def row_schema(contract: DataContract, example: dict[str, Any] | None = None) -> Schema:
    """Return the schema of one row: every feature with its type, nullability and known values."""
    properties = {name: column_schema(contract.columns[name]) for name in contract.features}
    ignored = [name for name in contract.columns if name not in properties]
    properties |= {name: {"description": "Not a feature; accepted and ignored."} for name in ignored}
    schema: Schema = {
        "type": "object",
        "required": list(contract.features),
        "additionalProperties": False,
        "properties": properties,
    }
    return schema | ({"example": example} if example else {})


def rows_schema() -> Schema:
    """Return the schema of the body of `POST /predict`."""
    return _only(rows=_some(_ROW))


def invocation_schema(contract: DataContract | None) -> Schema:
    """Return the schema of the body of `POST /invocations`: one of four forms, or one where the columns are unknown."""
    records = {"title": "dataframe_records", **_only(dataframe_records=_some(_ROW))}
    if contract is None:
        return records
    values: Schema = {
        "type": "array",
        "description": f"The values of {', '.join(contract.features)}.",
        "prefixItems": [column_schema(contract.columns[name]) for name in contract.features],
        "minItems": len(contract.features),
        "maxItems": len(contract.features),
    }
    names = {
        "type": "array",
        "prefixItems": [{"const": name} for name in contract.features],
        "minItems": len(contract.features),
        "maxItems": len(contract.features),
        "description": "In any order; the values of each row have the same order.",
    }
    index = {"type": ["array", "null"], "description": "The index of a pandas DataFrame; ignored."}
    split = {
        "type": "object",
        "required": ["columns", "data"],
        "additionalProperties": False,
        "properties": {"columns": names, "data": _some(values), "index": index},
    }
    some = {"anyOf": [_some(_ROW), _some(values)]}
    one_by_column = {name: _one_of(column_schema(contract.columns[name])) for name in contract.features}
    return {
        "oneOf": [
            {"title": "dataframe_split", **_only(dataframe_split=split)},
            records,
            {"title": "instances", **_only(instances=some)},
            {
                "title": "inputs",
                "description": "Rows as in instances; or columns, each with one value or with a list of values.",
                **_only(inputs={"anyOf": [_closed(one_by_column), *some["anyOf"]]}),
            },
        ]
    }


def tensors_schema(contract: DataContract | None, outputs: Sequence[str] = ()) -> Schema:
    """Return the schema of the body of `POST /v2/models/NAME/infer`: one tensor per column.

    Args:
        contract: None while no version is loaded.
        outputs: Names of the model's outputs.
    """
    tensor: Schema = {
        "name": {"type": "string"},
        "datatype": {"type": "string"},
        "shape": _shape(),
        "data": {"type": "array"},
    }
    inputs: Schema = {"type": "array", "minItems": 1, "items": _tensor(tensor)}
    if contract is not None:
        tensors = [
            _tensor(
                {
                    "name": {"const": name},
                    "datatype": {"const": column_datatype(contract.columns[name])},
                    "shape": _shape(),
                    "data": {"type": "array", "minItems": 1, "items": column_schema(contract.columns[name])},
                }
            )
            for name in contract.features
        ]
        inputs = {"type": "array", "prefixItems": tensors, "minItems": len(tensors), "maxItems": len(tensors)}
    inputs["description"] = (
        "One tensor per column, in any order, each of shape [n] or [n, 1] for n rows; "
        "or one tensor of shape [n, number of columns]."
    )
    wanted = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"enum": list(outputs)}, "parameters": {"type": "object"}},
    }
    properties = {
        "id": {"type": ["string", "null"], "description": "Returned with the response."},
        "inputs": inputs,
        "outputs": {
            "type": ["array", "null"],
            "items": wanted if outputs else {},
            "description": "The outputs to return; all by default.",
        },
        "parameters": {"type": "object"},
    }
    return {"type": "object", "required": ["inputs"], "properties": properties}


def _tensor(properties: dict[str, Schema]) -> Schema:
    """A tensor allows further properties, because the protocol lets clients add those of its extensions."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties | {"parameters": {"type": "object"}},
    }


def _one_of(value: Schema) -> Schema:
    return {"anyOf": [value, {"type": "array", "items": value, "minItems": 1, "maxItems": 1}]}


def _shape() -> Schema:
    length = {"type": "integer", "minimum": 1, "maximum": LARGEST_INTEGER}
    return {"type": "array", "prefixItems": [length, {"const": 1}], "minItems": 1, "maxItems": 2}


def predictions_schema(contract: DataContract, classes: tuple[Any, ...]) -> Schema:
    """Return the schema of the response of `POST /predict`."""
    labels = [category_text(label) for label in classes]
    value: Schema = {"type": "number"} if contract.task == "regression" else {"enum": list(classes)} if classes else {}
    model = {
        "type": "object",
        "required": ["name", "version"],
        "properties": {"name": {"type": "string"}, "version": {"type": "string"}},
    }
    properties: Schema = {
        "request_id": {"type": "string"},
        "model": model,
        "predictions": {"type": "array", "items": value},
    }
    if labels:
        probability = {"type": "number", "minimum": 0, "maximum": 1}
        by_class = {"type": "object", "required": labels, "properties": dict.fromkeys(labels, probability)}
        properties["probabilities"] = {"type": "array", "items": by_class}
    return {"type": "object", "required": ["request_id", "model", "predictions"], "properties": properties}


def tensors_response_schema() -> Schema:
    """Return the schema of the response of `POST /v2/models/NAME/infer`."""
    properties = {
        "name": {"type": "string"},
        "datatype": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    }
    output = {"type": "object", "required": ["name", "datatype", "shape"], "properties": properties}
    return {
        "type": "object",
        "required": ["model_name", "model_version", "id", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": output},
        },
    }


def _only(**properties: Schema) -> Schema:
    return _closed(properties)


def _closed(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "required": list(properties), "additionalProperties": False, "properties": properties}


def _some(item: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": item}
