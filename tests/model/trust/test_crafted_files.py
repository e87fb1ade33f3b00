"""Crafted files are refused before anything of them runs. They are genuine ones with an edited schema."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import skops.io

from platform_lib.errors import UntrustedModel
from platform_lib.model.trust import check_types
from tests.model.trust.model_files import a_list, edit, forget, node, plant, text

CALLS: dict[str, dict[str, Any]] = {
    "own class called with a list": node("ListNode", "ownmodel.features.Run", content=[text("x")]),
    "own class called with a set": node("SetNode", "ownmodel.features.Run", content=[text("x")]),
    "own class called with arguments": node(
        "ConstructorFromReduceNode",
        "ownmodel.features.Run",
        content=node("TupleNode", "builtins.tuple", content=[text("x")]),
    ),
    "own class as a loss": node(
        "LossNode",
        "ownmodel.features.Run",
        __reduce__={"args": node("TupleNode", "builtins.tuple", content=[])},
        content=node("DictNode", "builtins.dict", content={}, key_types=a_list()),
    ),
    "own class called with a key": node(
        "DictNode",
        "builtins.dict",
        content={"x": text("y")},
        key_types=a_list(node("TypeNode", "ownmodel.features.Run")),
    ),
    "own function called with a key": node(
        "DictNode",
        "builtins.dict",
        content={"x": text("y")},
        key_types=a_list(node("FunctionNode", "ownmodel.features.double")),
    ),
    "own class around an array": node(
        "NdArrayNode",
        "ownmodel.features.Run",
        type="json",
        content=[],
        shape=node("TupleNode", "builtins.tuple", content=[]),
    ),
    "library function as a list": node("ListNode", "sklearn.utils.validation.check_array", content=[text("x")]),
    "bound method": node("MethodNode", "builtins.list", content={"func": "append", "obj": a_list()}),
    "operator": node(
        "OperatorFuncNode", "operator.methodcaller", attrs=node("TupleNode", "builtins.tuple", content=[text("x")])
    ),
    "foreign loader": node("NewNode", "builtins.list", content=[]),
    "os.system as a type": node("TypeNode", "os.system"),
    "eval as an object": node("ObjectNode", "builtins.eval"),
    "nameless": node("ListNode", "builtins.list", content=[]) | {"__class__": None},
}


@pytest.mark.parametrize("planted", CALLS.values(), ids=CALLS)
def test_a_planted_node_that_could_run_code_is_refused_and_does_not_run(
    planted: dict[str, Any], genuine: Path, own: Path
) -> None:
    plant(genuine, planted)
    forget(own)
    with pytest.raises(UntrustedModel):
        check_types(genuine, package="ownmodel")
    assert not (own.parent.parent / "ran").exists()
    assert not (own.parent.parent / "imported").exists()


@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith("own class") and "key" not in name])
def test_a_class_trusted_as_an_object_is_not_trusted_as_a_callable(name: str, genuine: Path) -> None:
    assert "ownmodel.features.Run" in check_types(genuine, package="ownmodel")
    plant(genuine, CALLS[name])
    with pytest.raises(
        UntrustedModel, match=r"holds ownmodel\.features\.Run as a \w+Node, where a genuine file never has it"
    ):
        check_types(genuine, package="ownmodel")


@pytest.mark.parametrize(
    ("name", "trusted"), [("bound method", "builtins.list.append"), ("operator", "operator.methodcaller")]
)
def test_a_node_kind_that_can_run_code_is_refused_even_with_a_trusted_name(
    name: str, trusted: str, genuine: Path
) -> None:
    plant(genuine, CALLS[name])
    with pytest.raises(UntrustedModel, match="which can run code"):
        check_types(genuine, package="ownmodel", trusted_types=(trusted,))


def test_the_planted_calls_would_run_if_only_names_were_checked(genuine: Path, own: Path) -> None:
    """Why kinds of nodes are checked: skops trusts `Run` in all of them."""
    plant(genuine, CALLS["own class called with a key"])
    everything = skops.io.get_untrusted_types(file=genuine)
    (own.parent.parent / "ran").unlink()
    skops.io.load(genuine, trusted=everything)
    assert (own.parent.parent / "ran").exists()


def test_a_key_types_list_that_reuses_another_nodes_identity_is_refused(genuine: Path) -> None:
    """skops answers a known identity with the node that had it first: the harmless list here is a decoy."""
    real = a_list(node("TypeNode", "ownmodel.features.Run"), __id__=77)
    decoy = a_list(node("TypeNode", "builtins.str"), __id__=77)
    plant(genuine, a_list(real, node("DictNode", "builtins.dict", content={"x": text("y")}, key_types=decoy)))
    with pytest.raises(UntrustedModel, match="a list of key types is used twice"):
        check_types(genuine, package="ownmodel")


def test_two_different_nodes_with_one_identity_are_refused(genuine: Path) -> None:
    plant(genuine, a_list(node("TypeNode", "builtins.str", __id__=78), node("TypeNode", "builtins.int", __id__=78)))
    with pytest.raises(UntrustedModel, match="two different nodes have one identity"):
        check_types(genuine, package="ownmodel")


@pytest.mark.parametrize("protocol", [0, 1, True, "2", None, 99])
def test_another_protocol_is_refused(protocol: Any, genuine: Path) -> None:
    edit(genuine, lambda schema: schema.__setitem__("protocol", protocol))
    with pytest.raises(UntrustedModel, match="not a valid skops model file"):
        check_types(genuine, package="ownmodel")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b'"__class__"') + 3] ^= 0xFF
    path.write_bytes(bytes(data))


def without_schema(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.json", "{}")


def with_schema(content: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("schema.json", content)

    return write


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "{}")
        with archive.open("zeros.bin", "w") as entry:
            for _ in range(80):
                entry.write(bytes(2**20))


def many_readers_of_one_file(path: Path) -> None:
    reader = node("BytesNode", "builtins.bytes", file="zeros.bin")
    edit(plant(path, a_list(*[reader] * 80)), lambda _: None, {"zeros.bin": bytes(2**20)})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x80\x04K*."),
        lambda path: path.unlink(),
        cut,
        flip,
        without_schema,
        with_schema("[1]"),
        with_schema("no json"),
        with_schema('{"protocol": 2}'),
        with_schema('{"protocol": 2, "content": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        bomb,
    ],
    ids=["empty", "pickle", "gone", "cut", "flipped", "no-schema", "list", "text", "bare", "deep", "bomb"],
)
def test_a_file_that_is_not_a_model_is_refused_in_one_sentence(spoil: Callable[[Path], Any], genuine: Path) -> None:
    spoil(genuine)
    with pytest.raises(UntrustedModel, match=r"model\.skops is not a valid skops model file"):
        check_types(genuine, package="ownmodel")


def test_a_file_that_expands_by_repeated_reads_is_refused(genuine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform_lib.model.trust.check._SMALL", 2**22)
    monkeypatch.setattr("platform_lib.model.trust.check._MAX_EXPANSION", 2)
    many_readers_of_one_file(genuine)
    with pytest.raises(UntrustedModel, match="would unpack to more than"):
        check_types(genuine, package="ownmodel")
