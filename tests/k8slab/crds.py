"""Turn JSON Schema extracts of custom resources back into CustomResourceDefinitions.

The extracts (the folder `schemas` of `$MLP_FACTS`) lost list types and int-or-string marks, and express "no unknown
fields" as `additionalProperties: false`, which a structural schema may not have. Defaults, enums, patterns and CEL
rules stay.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DROPPED = {"$schema", "$comment", "$defs", "title", "const"}
INT_OR_STRING = {"integer", "string"}


def _properties(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: structural(child, defs) for name, child in schema.items()}


def structural(schema: Mapping[str, Any], defs: Mapping[str, Any], *, typed: bool = True) -> dict[str, Any]:
    """The schema with references written out, in structural form; `typed` is False inside anyOf and its like."""
    if "$ref" in schema:
        return structural(defs[schema["$ref"].removeprefix("#/$defs/")], defs, typed=typed)
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key in DROPPED:
            continue
        if key == "properties":
            found[key] = _properties(value, defs)
        elif key == "items" or (key == "additionalProperties" and isinstance(value, Mapping)):
            found[key] = structural(value, defs)
        elif key == "additionalProperties":
            if value:
                found["x-kubernetes-preserve-unknown-fields"] = True
        elif key in ("anyOf", "oneOf", "allOf"):
            found[key] = [structural(child, defs, typed=False) for child in value]
        elif key == "not":
            found[key] = structural(value, defs, typed=False)
        else:
            found[key] = value
    if not typed:
        return {
            key: value
            for key, value in found.items()
            if key not in ("description", "x-kubernetes-preserve-unknown-fields")
        }
    if "type" not in found:
        kinds = [alternative.get("type") for alternative in found.get("anyOf", [])]
        found[
            "x-kubernetes-int-or-string" if set(kinds) == INT_OR_STRING else "x-kubernetes-preserve-unknown-fields"
        ] = True
    elif found["type"] == "object" and "properties" not in found and "additionalProperties" not in found:
        found["x-kubernetes-preserve-unknown-fields"] = True
    return found


def definition(entry: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """One definition with the one version in the extract."""
    body = structural(schema, schema.get("$defs", {}))
    body.pop("x-kubernetes-preserve-unknown-fields", None)
    body["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    body["required"] = [name for name in body.get("required", []) if name in ("spec", "status")]
    if not body["required"]:
        del body["required"]
    version: dict[str, Any] = {
        "name": entry["version"],
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": body},
    }
    if "status subresource: True" in schema.get("$comment", ""):
        version["subresources"] = {"status": {}}
    kind = entry["kind"]
    names = {"kind": kind, "listKind": f"{kind}List", "plural": entry["plural"], "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{entry['plural']}.{entry['group']}"},
        "spec": {"group": entry["group"], "scope": entry["scope"], "names": names, "versions": [version]},
    }


def definitions(schemas: Path, groups: Iterable[str]) -> list[dict[str, Any]]:
    """The definitions of these API groups, from the folder of extracts."""
    index = json.loads((schemas / "index.json").read_text(encoding="utf-8"))["crd_schemas"]
    wanted = set(groups)
    return [
        definition(entry, json.loads((schemas / entry["file"]).read_text(encoding="utf-8")))
        for entry in index
        if entry["group"] in wanted
    ]
