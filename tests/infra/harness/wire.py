"""Pulumi's wire format (protobuf) as Python values: secrets, unknowns, references."""

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
ASSET, ARCHIVE = "c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7"
RESOURCE, OUTPUT = "5cf8f73096256a8f31e491e813e4eb8e", "d0e6a833031e9bbcd3f4e8bde6ca49a4"


class Unknown:
    """A value that only `up` will know. There is one, `UNKNOWN`, and copies are that one."""

    def __repr__(self) -> str:
        return "<unknown>"

    def __copy__(self) -> "Unknown":
        return self

    def __deepcopy__(self, memo: object) -> "Unknown":
        return self


UNKNOWN = Unknown()


class Secret:
    """A value that Pulumi keeps encrypted. Its text never shows in a message."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and bool(self.value == other.value)


def decode(value: Any) -> Any:
    """Protobuf to Python. `Secret`, `UNKNOWN`, `{"__ref__": urn}` and `{"__asset__": …}` mark non-JSON values."""
    if isinstance(value, struct_pb2.Struct):
        return {key: decode(item) for key, item in value.fields.items()}
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _decode_marked(value.struct_value.fields)
    if kind == "list_value":
        return [decode(item) for item in value.list_value.values]
    if kind == "number_value":
        return int(value.number_value) if value.number_value == int(value.number_value) else value.number_value
    if kind == "string_value":
        return UNKNOWN if value.string_value == rpc.UNKNOWN else value.string_value
    return value.bool_value if kind == "bool_value" else None


def _decode_marked(fields: Any) -> Any:
    signature = fields[SIGNATURE].string_value if SIGNATURE in fields else None
    if signature == SECRET:
        return Secret(decode(fields["value"]))
    if signature == OUTPUT:
        inner = decode(fields["value"]) if "value" in fields else UNKNOWN
        return Secret(inner) if "secret" in fields and fields["secret"].bool_value else inner
    if signature == RESOURCE:
        return {"__ref__": fields["urn"].string_value, "id": decode(fields["id"]) if "id" in fields else None}
    if signature in (ASSET, ARCHIVE):
        return {"__asset__": {key: decode(item) for key, item in fields.items() if key != SIGNATURE}}
    return {key: decode(item) for key, item in fields.items()}


def encode(value: Any) -> Any:
    """Python to protobuf, the inverse of `decode`."""
    if isinstance(value, Mapping):
        if "__ref__" in value:
            reference = {SIGNATURE: RESOURCE, "urn": value["__ref__"], "packageVersion": ""}
            value = reference | ({} if value.get("id") is None else {"id": value["id"]})
        elif "__asset__" in value:
            value = {SIGNATURE: ARCHIVE if "assets" in value["__asset__"] else ASSET, **value["__asset__"]}
        return struct_pb2.Value(struct_value=encode_struct(value))
    if isinstance(value, Secret):
        return struct_pb2.Value(struct_value=encode_struct({SIGNATURE: SECRET, "value": value.value}))
    if isinstance(value, list | tuple):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[encode(item) for item in value]))
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    return struct_pb2.Value(string_value=rpc.UNKNOWN if value is UNKNOWN else str(value))


def encode_struct(values: Mapping[str, Any]) -> Any:
    return struct_pb2.Struct(fields={str(key): encode(item) for key, item in values.items()})


def plain(value: Any, path: str = "", secrets: set[str] | None = None) -> Any:
    """The value without `Secret` wrappers; their paths ("data.key", "env[0].value") are added to `secrets`."""
    if isinstance(value, Secret):
        if secrets is not None:
            secrets.add(path)
        return plain(value.value, path, secrets)
    if isinstance(value, dict):
        return {key: plain(item, f"{path}.{key}" if path else key, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, f"{path}[{index}]", secrets) for index, item in enumerate(value)]
    return value


def known(value: Any) -> Any:
    """The value without what is unknown: a schema has nothing to say about that."""
    if isinstance(value, dict):
        return {key: known(item) for key, item in value.items() if item is not UNKNOWN}
    return [known(item) for item in value if item is not UNKNOWN] if isinstance(value, list) else value


def strings(value: Any) -> Iterator[str]:
    """Every string inside a value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value
