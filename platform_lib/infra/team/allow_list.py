"""Turn an allow-list of fields into validations of a ValidatingAdmissionPolicy (CEL). `admission` lists the kinds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A value that has to keep a rule."""

    rule: str
    """CEL expression over `{it}`; true where the value is allowed."""
    remedy: str
    """What to give instead, as an instruction."""
    shown: str = "string({it})"
    """CEL expression over `{it}`: how the message names a value that is refused."""


Shape: TypeAlias = "Mapping[str, Shape] | Sequence[Shape] | Value | None"
"""What a value may be: an object with these fields only, a list of one shape, a checked value, or anything."""

ANYTHING: Final = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One more condition on the whole object."""

    expression: str
    """CEL; true where the object is allowed."""
    message: str
    """CEL expression of the sentence: what was given, what is allowed, what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KindRule:
    """What a team may write in the objects of one kind."""

    name: str
    """Of the policy, after `mlp-team-`."""
    group: str
    resource: str
    kind: str
    fields: Mapping[str, Shape] = field(default_factory=dict)
    """Top-level field → its shape; a field without an entry is not looked at."""
    checks: Sequence[Check] = ()
    operations: Sequence[str] = ("CREATE", "UPDATE")
    variables: Mapping[str, str] = field(default_factory=dict)
    """Name → CEL expression that checks use as `variables.NAME`."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Name → CEL expression; the policy looks only at requests for which all are true."""


def policy_spec(rule: KindRule) -> dict[str, Any]:
    """The spec of the policy that enforces a rule."""
    variables = [{"name": name, "expression": text} for name, text in rule.variables.items()]
    validations: list[dict[str, Any]] = []
    for top, shape in rule.fields.items():
        for number, (path, found, remedy) in enumerate(_findings(shape, top, f"object[{text(top)}]")):
            name = f"{top}{number}"
            variables.append({"name": name, "expression": f"{text(top)} in object ? {found} : ''"})
            sentence = f"{given(rule.kind)} + ' sets ' + variables.{name} + {text(f' in {path}: {remedy}')}"
            validations.append({"expression": f"variables.{name} == ''", "messageExpression": sentence})
    validations += [{"expression": one.expression, "messageExpression": one.message} for one in rule.checks]
    spec: dict[str, Any] = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": [rule.group],
                    "apiVersions": ["*"],
                    "operations": list(rule.operations),
                    "resources": [rule.resource],
                    "scope": "Namespaced",
                }
            ]
        },
        "validations": validations,
    }
    if variables:
        spec["variables"] = variables
    if rule.conditions:
        spec["matchConditions"] = [{"name": name, "expression": text} for name, text in rule.conditions.items()]
    return spec


def given(kind: str) -> str:
    """CEL expression that names the object of a request."""
    return f"'{kind} ' + request.name"


def text(value: str) -> str:
    """The value as a CEL string."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def names(values: Sequence[str]) -> str:
    """The values as a CEL list of strings."""
    return f"[{', '.join(map(text, values))}]"


def _findings(shape: Shape, path: str, at: str, depth: int = 0) -> Iterator[tuple[str, str, str]]:
    """For every place of the shape: path, CEL expression of what breaks it there (empty text: nothing), what to do."""
    if shape is None:
        return
    if isinstance(shape, Value):
        item = f"v{depth}"
        rule, shown = (one.replace("{it}", item) for one in (shape.rule, shape.shown))
        yield path, f"[{at}].filter({item}, !({rule})).map({item}, {shown}).join(', ')", shape.remedy
        return
    if isinstance(shape, Mapping):
        allowed = sorted(shape)
        key = f"k{depth}"
        listed = ", ".join(allowed) or "nothing"
        # Values before fields: a Service of type NodePort also has fields that the API server filled in for the type.
        for name, inner in shape.items():
            for where, found, remedy in _findings(inner, f"{path}.{name}", f"{at}[{text(name)}]", depth + 1):
                yield where, f"({text(name)} in {at} ? {found} : '')", remedy
        unlisted = f"{at}.filter({key}, !({key} in {names(allowed)})).join(', ')"
        yield path, unlisted, f"a team may set {listed} there; remove the rest."
        return
    item = f"i{depth}"
    for where, found, remedy in _findings(shape[0], f"{path}[]", item, depth + 1):
        yield where, f"{at}.map({item}, {found}).filter(t{depth}, t{depth} != '').join(', ')", remedy
