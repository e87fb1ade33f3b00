"""Columns that look like personal data are marked, and what people say about them is kept."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from platform_lib.data.contract import Column, dump_contract, parse_contract
from platform_lib.data.dataset import contract_path, find_contract
from platform_lib.data.imports.plan import ImportPlan, ImportRequest, plan_import
from platform_lib.data.sensitive import SensitiveOptions
from platform_lib.errors import UsageError
from platform_lib.settings import Project
from tests.data.conftest import import_file

MAILS = [f"person{number}@mail.example" for number in range(12)]
WARDS = ["Lerchenau", "Moosgrund", "Kreuzkamp"]
FIRST = "mail,ward,age,y\n" + "".join(
    f"{mail},{WARDS[number % 3]},{30 + number},{'pq'[number % 2]}\n" for number, mail in enumerate(MAILS)
)
MORE = "mail,ward,age,y\nnew@mail.example,Neustadt,77,p\n,Lerchenau,20,q\n"
HIDDEN = Column(type="string", log=False, sensitive=True)


def imported(project: Project, file: Path, mode: str = "new", **options: tuple[str, ...]) -> ImportPlan:
    return import_file(project, file, target="y", mode=mode, privacy=SensitiveOptions(**options))  # type: ignore[arg-type]


def columns(project: Project) -> dict[str, Column]:
    return find_contract(project, "table").columns


def test_a_column_that_looks_like_personal_data_is_marked_and_the_reason_printed(
    bare: Project, write: Callable[..., Path]
) -> None:
    done = imported(bare, write(FIRST))
    assert columns(bare)["mail"] == HIDDEN
    assert not columns(bare)["ward"].sensitive and columns(bare)["ward"].allowed
    assert (
        "'mail' looks like e-mail addresses (its name and 100% of its values): marked `sensitive: true` and "
        '`log: false`, so its values are neither logged nor shown; change that with --not-sensitive "mail".'
    ) in done.report.notes


def test_options_decide_against_the_proposal(bare: Project, write: Callable[..., Path]) -> None:
    done = imported(bare, write(FIRST), sensitive=("ward", "age"), not_sensitive=("mail",))
    assert not columns(bare)["mail"].sensitive
    assert columns(bare)["ward"] == HIDDEN
    assert columns(bare)["age"] == Column(type="integer", log=False, sensitive=True)
    assert not [note for note in done.report.notes if "looks like" in note]
    shown = {column.name: column.values for column in done.report.columns}
    assert (shown["ward"], shown["age"]) == ("3 different values", "12 different values")


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_second_import_keeps_the_decision(bare: Project, write: Callable[..., Path], mode: str) -> None:
    imported(bare, write(FIRST), sensitive=("ward",), not_sensitive=("mail",))
    done = imported(bare, write(FIRST if mode == "replace" else MORE), mode)
    assert columns(bare)["ward"] == HIDDEN
    assert not columns(bare)["mail"].sensitive
    assert "Neustadt" not in str(done.changes) + str(done.report)
    notes = [note for note in done.report.notes if "mail" in note and "--sensitive" in note]
    assert bool(notes) == (mode == "replace")


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_second_import_can_change_the_decision(bare: Project, write: Callable[..., Path], mode: str) -> None:
    imported(bare, write(FIRST), sensitive=("ward",), not_sensitive=("mail",))
    imported(bare, write(FIRST if mode == "replace" else MORE), mode, sensitive=("mail",), not_sensitive=("ward",))
    assert columns(bare)["mail"] == msgspec.structs.replace(HIDDEN, nullable=mode == "append")
    ward = columns(bare)["ward"]
    assert (ward.sensitive, ward.log) == (False, True)
    assert ward.allowed == (sorted(WARDS) if mode == "replace" else None)


def test_a_contract_without_the_field_is_not_sensitive_and_loads_unchanged(
    bare: Project, write: Callable[..., Path]
) -> None:
    imported(bare, write(FIRST), not_sensitive=("mail",))
    text = contract_path(bare, "table").read_text(encoding="utf-8")
    assert "sensitive: " not in dump_contract(find_contract(bare, "table"))
    assert dump_contract(find_contract(bare, "table")) in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sensitive": ("mial",)}, "--sensitive names the column 'mial', which the table does not have; it has mail,"),
        ({"not_sensitive": ("x",)}, "--not-sensitive names the column 'x'"),
        ({"sensitive": ("y",)}, "--sensitive names the target 'y', but every prediction is one of its values"),
        ({"sensitive": ("age",), "not_sensitive": ("age",)}, "'age' is given to both --sensitive and --not-sensitive"),
    ],
    ids=["unknown", "unknown too", "target", "both"],
)
def test_an_option_that_does_not_fit_is_refused(
    bare: Project, write: Callable[..., Path], options: dict[str, tuple[str, ...]], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        plan_import(bare, ImportRequest(file=write(FIRST), target="y", privacy=SensitiveOptions(**options)))


def test_a_sensitive_target_is_refused_in_a_contract() -> None:
    entries = {"a": {"type": "number"}, "y": {"type": "string", "sensitive": True}}
    with pytest.raises(
        UsageError, match="the target 'y' is marked sensitive, but every prediction is one of its values"
    ):
        parse_contract({"name": "t", "path": "t", "task": "classification", "target": "y", "columns": entries}, "t")


def test_a_value_that_does_not_fit_is_not_quoted(bare: Project, write: Callable[..., Path]) -> None:
    imported(bare, write(FIRST), sensitive=("age",))
    with pytest.raises(UsageError, match="the first is a hidden str in row 0") as refused:
        imported(bare, write("mail,ward,age,y\na@b.example,Lerchenau,verysecret,p\n"), "append")
    assert "verysecret" not in str(refused.value)
