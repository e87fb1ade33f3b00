"""Check the types in a model file: a reviewed list, the project's package, and types that its settings add.

skops checks type names only, and trusts a name everywhere in the file: as the class of an object, but also as a
function that is called with values of the file. Here, a name is trusted only for the kind of node in which scikit-learn
needs it. Nothing is imported or executed.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from platform_lib.errors import UntrustedModel
from platform_lib.model.trust.file_access import check_node
from platform_lib.model.trust.names import KEY_TYPES, LOADERS, TRUSTED
from platform_lib.model.trust.own_package import OwnPackage

# Earlier protocols have nodes that skops audits less strictly, and no supported release wrote them.
_PROTOCOLS_FROM = 2
_MAX_EXPANSION = 100  # unpacked bytes per packed byte; real models reach about 20
_SMALL = 64 * 2**20  # unpacked bytes that are allowed at any ratio


def check_types(path: Path, *, package: str | None, trusted_types: tuple[str, ...] = ()) -> list[str]:
    """Decide which types of a skops file to trust: all of them, or raise.

    Args:
        path: The model file; the caller has compared its hash with the registered one.
        package: The project's package: classes and functions that its source files define are trusted. None trusts no
            package.
        trusted_types: Full names from `[tool.mlp] trusted_types`.
    Returns:
        The names that `skops.io.load(path, trusted=…)` needs for this file in addition to skops' own, sorted.
    Raises:
        UntrustedModel: A type is not trusted (names it and the setting), or the file is not a valid skops file.
    """
    schema = _read_schema(path)
    own = OwnPackage(package) if package else None
    needed: set[str] = set()
    elsewhere: dict[str, str] = {}
    for node in _sound_nodes(schema, path):
        module, name, loader = node["__module__"], node["__class__"], node["__loader__"]
        full_name = f"{module}.{name}"
        if (
            full_name in trusted_types
            or full_name in TRUSTED.get(loader, ())
            or (own is not None and own.defines(module, name, loader))
        ):
            needed.add(full_name)
        else:
            elsewhere[full_name] = loader
    # Instances of what is only referred to, such as a data type of pandas, are unknown rather than forged.
    constructed = {name for kind, names in TRUSTED.items() if kind != "TypeNode" for name in names}
    for full_name in sorted((needed | constructed) & elsewhere.keys()):
        if full_name not in trusted_types:
            raise UntrustedModel(
                f"{path.name} holds {full_name} as a {elsewhere[full_name]}, where a genuine file never has it. The "
                "file was crafted: do not load it."
            )
    if unknown := sorted(_unsafe_for_skops(path) - needed):
        raise _untrusted(path, unknown, own)
    return sorted(needed)


def _untrusted(path: Path, names: list[str], own: OwnPackage | None) -> UntrustedModel:
    """The error that names all types that nobody reviewed, so that one training is enough to learn them."""
    reasons = dict.fromkeys(why for name in names if own is not None and (why := own.refusal(name)))
    one = len(names) == 1
    kind, it, it_does = ("type", "it", "it does") if one else ("types", "them", "they do")
    why = f" ({'; '.join(reasons)})" if reasons else ""
    return UntrustedModel(
        f"{path.name} holds the {kind} {', '.join(names)}, which {'is' if one else 'are'} not on a list of trusted "
        f"types{why}. If you know what {it_does} and want to load {it}, add {', '.join(map(json.dumps, names))} to "
        "trusted_types in [tool.mlp] of pyproject.toml; otherwise, do not load this file."
    )


def _read_schema(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            limit = max(_SMALL, _MAX_EXPANSION * path.stat().st_size)
            if sum(entry.file_size for entry in archive.infolist()) > limit:
                raise _unsound(path, f"it would unpack to more than {limit // 2**20} MiB")
            schema = json.loads(archive.read("schema.json"))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, RuntimeError, EOFError) as err:
        raise _unsound(path, f"{type(err).__name__}: {err}"[:200]) from err
    if not isinstance(schema, dict):
        raise _unsound(path, "its schema is not an object")
    protocol = schema.get("protocol")
    if type(protocol) is not int or protocol < _PROTOCOLS_FROM:
        raise _unsound(path, f"its protocol is {protocol!r}, expected {_PROTOCOLS_FROM} or later")
    # Many nodes may name the same entry, and each reads it into memory again.
    if sum(sizes.get(file, 0) for node in _nodes(schema) if isinstance(file := node.get("file"), str)) > limit:
        raise _unsound(path, f"it would unpack to more than {limit // 2**20} MiB")
    return schema


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object that skops could read as a node, reachable or not."""
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "__loader__" in value:
                yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _sound_nodes(schema: dict[str, Any], path: Path) -> Iterator[dict[str, Any]]:
    """Check the nodes: kinds are known, names are texts, and one identity is always the same node."""
    seen: dict[int, tuple[object, ...]] = {}
    key_lists: list[int] = []
    for node in _nodes(schema):
        kind = (node["__loader__"], node.get("__module__"), node.get("__class__"))
        if not all(isinstance(part, str) for part in kind):
            raise _unsound(path, f"a node is named {kind!r:.80}")
        if kind[0] not in LOADERS:
            raise UntrustedModel(
                f"{path.name} holds a {kind[0]} for {kind[1]}.{kind[2]}, which models of this platform do not need and "
                "which can run code. "
                "Write the step as a class or function of your own package instead of a bound method or an operator."
            )
        identity = node.get("__id__")
        if identity is not None and type(identity) is not int:
            raise _unsound(path, f"a node's identity is {identity!r:.80}")
        # For a known identity, skops returns the first node that had it and ignores this one.
        if identity and seen.setdefault(identity, kind) != kind:
            raise _unsound(path, "two different nodes have one identity")
        check_node(node, path.name)
        if kind[0] == "DictNode":
            key_lists.append(_key_list_identity(node, path))
        yield node
    of_keys = set(key_lists) - {0}
    uses = [identity for node in _nodes(schema) if (identity := node.get("__id__")) in of_keys]
    if len(uses) != len(of_keys):
        raise _unsound(path, "a list of key types is used twice")


def _key_list_identity(node: dict[str, Any], path: Path) -> int:
    """The identity of a dictionary's key types. skops calls each with a text of the file, so only plain types are
    allowed."""
    types = node.get("key_types")
    entries = types.get("content") if isinstance(types, dict) and types.get("__loader__") == "ListNode" else None
    if not isinstance(entries, list):
        raise _unsound(path, "a dictionary's key types are not a list")
    for entry in entries:
        if (
            not isinstance(entry, dict)
            or entry.get("__loader__") != "TypeNode"
            or f"{entry.get('__module__')}.{entry.get('__class__')}" not in KEY_TYPES
        ):
            raise _unsound(path, "a dictionary's keys are not texts, numbers or booleans")
    identity = types.get("__id__") if isinstance(types, dict) else None
    return identity if type(identity) is int else 0


def _unsafe_for_skops(path: Path) -> set[str]:
    import skops.io  # slow to import

    try:
        return set(skops.io.get_untrusted_types(file=path))
    except Exception as err:
        # A malformed file may raise anything in its parser; nothing was constructed.
        raise _unsound(path, f"{type(err).__name__}: {err}"[:200]) from err


def _unsound(path: Path, reason: str) -> UntrustedModel:
    return UntrustedModel(
        f"{path.name} is not a valid skops model file: {reason}. Train and register the model again with `mlp train`."
    )
