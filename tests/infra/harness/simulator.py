"""A cloud in memory that responds like the Kubernetes and random providers. `engine` and `plugin` use it.

Objects can be lost or changed behind an engine's back, and any operation can be made to fail.
"""

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.infra.harness.outputs import changes, outputs_for, replaces
from tests.infra.harness.wire import UNKNOWN, plain

AUTONAMED = "pulumi.com/autonamed"


class OperationFailed(Exception):
    """What a provider answers when it cannot."""


@dataclass
class Difference:
    """What an update would change."""

    paths: list[tuple[str, str]]
    """("add" | "delete" | "update", path)."""
    replaces: list[str]
    delete_first: bool


@dataclass
class Cloud:
    """Every object, by (type, id)."""

    objects: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=dict)
    """Inputs and outputs."""
    failing: set[str] = field(default_factory=set)
    """`create:NAME`, `update:NAME`, `delete:NAME`: operations on resources of that name fail."""
    _numbers: Any = field(default_factory=itertools.count, repr=False)

    def check(self, urn: str, news: Mapping[str, Any], olds: Mapping[str, Any] | None) -> dict[str, Any]:
        """Inputs with the automatic name of an object that has none; a name once given stays."""
        token, name = token_of(urn), name_of(urn)
        made = dict(news)
        if not token.startswith("kubernetes:") or "helm.sh" in token or not news.get("apiVersion"):
            return made
        meta = dict(plain(made.get("metadata") or {}))
        if meta.get("name") in (None, UNKNOWN) and "name" not in meta:
            was = plain(dict(olds or {})).get("metadata") or {}
            kept = was.get("name") if AUTONAMED in (was.get("annotations") or {}) else None
            meta["name"] = kept or f"{name}-{hashlib.sha256(f'{urn}{next(self._numbers)}'.encode()).hexdigest()[:8]}"
            meta["annotations"] = {**(meta.get("annotations") or {}), AUTONAMED: "true"}
        return made | {"metadata": meta}

    def diff(self, urn: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> Difference:
        """What changed, and whether that takes a new object."""
        token = token_of(urn)
        found = list(changes(dict(olds), dict(news)))
        replacing = [path for _, path in found if replaces(token, path)]
        old_meta, new_meta = (plain(dict(inputs)).get("metadata") or {} for inputs in (olds, news))
        same_name = all(old_meta.get(key) == new_meta.get(key) for key in ("name", "namespace"))
        automatic = AUTONAMED in (new_meta.get("annotations") or {})
        is_kubernetes = token.startswith("kubernetes:")
        return Difference(
            found,
            replacing,
            delete_first=bool(replacing) and is_kubernetes and ("helm.sh" in token or (same_name and not automatic)),
        )

    def create(self, urn: str, inputs: Mapping[str, Any], *, preview: bool = False) -> tuple[str, dict[str, Any]]:
        """(id, outputs); the id is empty in a preview.

        Raises:
            OperationFailed: It exists already, or was told to fail.
        """
        token, name = token_of(urn), name_of(urn)
        outputs = {**inputs, **outputs_for(token, name, inputs, preview=preview)}
        if preview:
            return "", outputs
        self._fail("create", urn)
        meta = plain(dict(inputs)).get("metadata") or {}
        namespace = f"{meta['namespace']}/" if meta.get("namespace") else ""
        object_id = (
            f"{namespace}{meta['name']}"
            if meta.get("name")
            else str(plain(dict(inputs)).get("name") or f"{name}-{next(self._numbers)}")
        )
        if (token, object_id) in self.objects:
            raise OperationFailed(f"{token} {object_id!r} already exists")
        self.objects[token, object_id] = dict(inputs), outputs
        return object_id, outputs

    def read(self, token: str, object_id: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """(inputs, outputs) as they are now; None where it is gone."""
        return self.objects.get((token, object_id))

    def update(
        self, urn: str, object_id: str, olds: Mapping[str, Any], news: Mapping[str, Any], *, preview: bool = False
    ) -> dict[str, Any]:
        """Outputs after the update; `olds` are the outputs of before.

        Raises:
            OperationFailed: It was told to fail.
        """
        outputs = {**olds, **news, **outputs_for(token_of(urn), name_of(urn), news, preview=preview)}
        if not preview:
            self._fail("update", urn)
            self.objects[token_of(urn), object_id] = dict(news), outputs
        return outputs

    def delete(self, urn: str, object_id: str) -> None:
        """Delete an object; a missing object is not an error.

        Raises:
            OperationFailed: It was told to fail.
        """
        self._fail("delete", urn)
        self.objects.pop((token_of(urn), object_id), None)

    def lose(self, kind: str, name: str) -> None:
        """Somebody deletes an object by hand: its type ends with `kind` and its id with `name`."""
        [key] = [
            key for key in self.objects if key[0].endswith(f":{kind}") and key[1].rpartition("/")[2].startswith(name)
        ]
        del self.objects[key]

    def _fail(self, operation: str, urn: str) -> None:
        if f"{operation}:{name_of(urn)}" in self.failing:
            raise OperationFailed(f"told to fail: {operation} {name_of(urn)}")


def token_of(urn: str) -> str:
    """The type at the end of a URN."""
    return urn.split("::")[2].split("$")[-1]


def name_of(urn: str) -> str:
    """The name in a URN."""
    return urn.split("::", 3)[3]
