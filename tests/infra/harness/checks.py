"""Checks of a graph without a cluster: strict schemas of objects, values of charts, stringified Outputs."""

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from tests.infra.harness.graph import Graph, Resource
from tests.infra.harness.wire import known

OWN_SCHEMAS = Path(__file__).parent / "schemas"
"""Of custom resources that the facts leave out, written after their definitions."""
KUBERNETES_VERSION = "1.34.0"
# Chart → subchart → file of its own defaults; "" where there is none among the facts, and then any key is taken.
SUBCHARTS: Mapping[str, Mapping[str, str]] = {
    "kube-prometheus-stack": {
        "grafana": "grafana_12.11.1.defaults.json",
        "kube-state-metrics": "",
        "prometheus-node-exporter": "",
    }
}
_STRINGIFIED = {
    "Calling __str__ on an Output": "str() or an f-string of an Output",
    "Calling [": "str() of an Output",
    "<unknown>": "an unknown",
}

# Keys that the templates read although the defaults do not name them.
READ_ANYWAY = (
    "config.existingSecret",
    "alertmanager.alertmanagerSpec.configSecret",
    "grafana.grafana.ini.",
    "grafana.podAnnotations",
    "grafana.persistence.storageClassName",
)


def string_errors(graph: Graph) -> list[str]:
    """Inputs in which an Output was turned into text."""
    return [f"{urn}: {why}" for urn, text in graph.strings() for mark, why in _STRINGIFIED.items() if mark in text]


def schema_errors(graph: Graph, facts: Path) -> list[str]:
    """Fields that the API server would reject or drop: unknown, missing or of a wrong type, custom resources included.

    Args:
        graph: Of an `up` or a preview; what is unknown fits everywhere.
        facts: Folder with `schemas/<group>_<version>_<Kind>.json` of the custom resources.
    """
    found = []
    for resource in graph.kubernetes():
        api_version, kind = resource.inputs["apiVersion"], resource.inputs["kind"]
        validator = _custom(api_version, kind, facts) or _builtin(api_version, kind)
        if validator is None:
            found.append(f"{resource.urn}: no schema for {api_version} {kind}")
        else:
            found += [
                f"{resource.urn} {e.json_path}: {e.message[:200]}" for e in validator.iter_errors(_object(resource))
            ]
    return found


def _object(resource: Resource) -> dict[str, Any]:
    """As the API server would get it: with the automatic name, without what is unknown."""
    made: dict[str, Any] = known({key: value for key, value in resource.inputs.items() if key != "__pulumi"})
    made["metadata"] = {"name": "automatic", **made.get("metadata", {})}
    return made


@functools.cache
def _custom(api_version: str, kind: str, facts: Path) -> Any:
    name = f"{api_version.replace('/', '_')}_{kind}.json"
    file = next((one for one in (facts / "schemas" / name, OWN_SCHEMAS / name) if one.is_file()), facts / name)
    return Draft202012Validator(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


@functools.cache
def _builtin(api_version: str, kind: str) -> Any:
    from kubernetes_validate import utils
    from referencing import Registry
    from referencing import Resource as Referenced

    name = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    root = f"kubernetes-json-schema/v{KUBERNETES_VERSION}-local-strict"
    try:
        schema = utils.schema_contents(f"{root}/{kind.lower()}-{name}.json", KUBERNETES_VERSION)
    except FileNotFoundError:
        return None
    definitions = Referenced.from_contents(utils.schema_contents(f"{root}/_definitions.json", KUBERNETES_VERSION))
    return Draft202012Validator(schema, registry=definitions @ Registry())


def values_errors(graph: Graph, facts: Path) -> list[str]:
    """Check the values of every release, merged with the chart's defaults, against its schema and known keys."""
    found = []
    for release in graph.of("kubernetes:helm.sh/v3:Release"):
        chart = re.sub(r"-v?\d.*$", "", Path(str(release.inputs["chart"])).name.removesuffix(".tgz"))
        version = release.inputs["version"]
        values = known(release.inputs.get("values") or {})
        defaults_file = facts / "defaults" / f"{chart}_{version}.defaults.json"
        defaults = json.loads(defaults_file.read_text(encoding="utf-8")) if defaults_file.is_file() else None
        schema_file = facts / "schemas" / f"values_{chart}_{version}.schema.json"
        if defaults is None and not schema_file.is_file():
            found.append(f"{release.urn}: neither defaults nor a schema of {chart} {version}")
        if schema_file.is_file():
            schema = json.loads(schema_file.read_text(encoding="utf-8"))
            validator = validator_for(schema, default=Draft202012Validator)(schema)
            errors = validator.iter_errors(laid_over(defaults or {}, values))
            found += [f"{release.urn} values{e.json_path[1:]}: {e.message[:200]}" for e in errors]
        elif defaults is not None:
            for subchart, file in SUBCHARTS.get(chart, {}).items():
                own = json.loads((facts / "defaults" / file).read_text(encoding="utf-8")) if file else {}
                own = {"fullnameOverride": "", **own}  # Grafana's template reads it, and its defaults leave it out
                defaults[subchart] = laid_over(own, defaults.get(subchart, {})) if file else {}
            found += [
                f"{release.urn} values.{path}: the chart's defaults have no such key"
                for path in _unknown_keys(defaults, values)
            ]
    return found


def laid_over(base: Any, over: Any) -> Any:
    """Helm's way: maps are merged, null removes, everything else is replaced."""
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
        return over
    merged = {**base, **{key: laid_over(base.get(key), value) for key, value in over.items()}}
    return {key: value for key, value in merged.items() if value is not None or key in base}


def _unknown_keys(defaults: Mapping[str, Any], values: Mapping[str, Any], path: str = "") -> list[str]:
    """Keys that the chart would not read. An empty default (annotations, resources, arguments) accepts any key."""
    found = []
    for key, value in values.items():
        if key not in defaults:
            found += [] if (path + key).startswith(READ_ANYWAY) else [path + key]
        elif isinstance(value, Mapping) and isinstance(defaults[key], Mapping) and defaults[key]:
            found += _unknown_keys(defaults[key], value, f"{path}{key}.")
    return found
