"""Every key of `conf/` with its type, default and meaning, for docs/configuration.md."""

import ast
import inspect
from datetime import date
from typing import Any

import msgspec

from platform_lib.data.contract import Column, DataContract
from platform_lib.model.card import ModelCard
from platform_lib.monitoring.config import MonitorConfig
from platform_lib.training.config import schema
from platform_lib.training.features import standard_features
from platform_lib.training.prefect.job_settings import JobSettings
from scripts.command_reference import cell

GROUPS: dict[str, tuple[str, type[msgspec.Struct]]] = {
    "": ("The run itself, in `conf/train.yaml`", schema.TrainConfig),
    "model": ("`conf/model/*.yaml`", schema.ModelConfig),
    "split": ("`conf/split/*.yaml`", schema.SplitConfig),
    "gate": ("`conf/gate/*.yaml`", schema.GateConfig),
    "search": ("`conf/search/*.yaml`", schema.SearchConfig),
    "metrics": ("`metrics` in `conf/train.yaml`", schema.MetricsConfig),
    "search.space.CHOICE.PARAMETER": ("one range in `conf/search/*.yaml`", schema.SearchDimension),
    "data": ("the data contract, `conf/data/*.yaml`", DataContract),
    "data.columns.NAME": ("one column of the contract", Column),
}
"""Prefix of the keys → where they stand, and the type that reads them."""


def text() -> str:
    """One table per group."""
    parts = []
    for prefix, (place, kind) in GROUPS.items():
        title = f"`{prefix}`: {place}" if prefix else place
        parts.append(_table(title, prefix, _keys(kind)))
        if prefix == "model":
            parts.append(_table("`features`: `conf/features/*.yaml`, as generated", "features", _feature_keys()))
    return "\n".join(parts)


def monitor_text() -> str:
    """The keys of `conf/monitor.yaml`."""
    return _file(MonitorConfig)


def card_text() -> str:
    """The keys of `conf/card.yaml`."""
    return _file(ModelCard)


def platform_text() -> str:
    """The keys of `conf/platform.yaml`."""
    return _file(JobSettings)


def _file(kind: type[msgspec.Struct]) -> str:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{n}` | {cell(k)} | {d} | {cell(m)} |" for n, k, d, m in _keys(kind)]
    return "\n".join(lines) + "\n"


def _table(title: str, prefix: str, keys: list[tuple[str, str, str, str]]) -> str:
    lines = [f"### {title}", "", "| key | type | default | meaning |", "|---|---|---|---|"]
    for name, kind, default, meaning in keys:
        key = f"{prefix}.{name}" if prefix else name
        lines.append(f"| `{key}` | {cell(kind)} | {default} | {cell(meaning)} |")
    return "\n".join(lines) + "\n"


def _keys(kind: type[msgspec.Struct]) -> list[tuple[str, str, str, str]]:
    """Name, type, default and meaning of each field; its meaning is the docstring below it."""
    meanings = _docstrings(kind)
    groups = {field for field in GROUPS if field and "." not in field} | {"features"}
    keys = []
    for field in msgspec.structs.fields(kind):
        if kind is schema.TrainConfig and field.name in groups:
            continue  # a table of its own
        keys.append((field.name, _type(field.type), _default(field), meanings.get(field.name, "")))
    return keys


def _docstrings(kind: type[msgspec.Struct]) -> dict[str, str]:
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[field.target.id] = " ".join(str(after.value.value).split())
    return found


def _type(kind: Any) -> str:
    names = {
        date: "day",
        str: "text",
        int: "whole number",
        float: "number",
        bool: "boolean",
        type(None): "null",
        Any: "any",
    }
    if kind in names:
        return names[kind]
    arguments = getattr(kind, "__args__", ())
    origin = getattr(kind, "__origin__", None)
    if origin is list or origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping of {_type(arguments[0])} to {_type(arguments[1])}"
    if arguments and isinstance(arguments[0], str):
        return ", ".join(f"`{value}`" for value in arguments)  # Literal
    if arguments:
        return " or ".join(dict.fromkeys(_type(part) for part in arguments))
    return "mapping"


def _default(field: Any) -> str:
    if field.default_factory is not msgspec.NODEFAULT:
        return f"`{_yaml(field.default_factory())}`"
    return "required" if field.required else f"`{_yaml(field.default)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, msgspec.Struct):
        return "as below"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(str, value))}]"
    return "''" if value == "" else msgspec.json.encode(value).decode().strip('"')


def _feature_keys() -> list[tuple[str, str, str, str]]:
    meanings = {}
    for line in (inspect.getdoc(standard_features) or "").partition("Args:")[2].partition("Returns:")[0].splitlines():
        name, _, meaning = line.strip().partition(": ")
        if name.isidentifier():
            meanings[name] = meaning
        elif meanings and line.strip():
            meanings[next(reversed(meanings))] += f" {line.strip()}"
    keys = []
    for name, parameter in inspect.signature(standard_features).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY or name.startswith("new_"):
            continue
        keys.append((name, _type(parameter.annotation), f"`{_yaml(parameter.default)}`", meanings.get(name, "")))
    return keys
