"""`conf/card.yaml`: what it may say, what is wrong with it, and that a version keeps it."""

from datetime import date
from pathlib import Path

import pytest
import yaml

from platform_lib.errors import UsageError
from platform_lib.model.artifact import files_sha256
from platform_lib.model.card import ModelCard, card_of, read_card, write_card
from platform_lib.settings import Project
from tests.conftest import REPOSITORY

FULL = ModelCard(
    owner="credit team <credit@example.com>",
    intended_use="Ranks applications: a person decides.",
    limits="Not for companies — only people.",
    licence="internal",
    review_date=date(2027, 6, 30),
)


def project(folder: Path, text: str | None) -> Project:
    (folder / "conf").mkdir()
    if text is not None:
        (folder / "conf" / "card.yaml").write_text(text, encoding="utf-8")
    return Project(root=folder, name="m", package="m")


@pytest.mark.parametrize("text", [None, "", "# nothing\n", "owner:\nlimits: ' '\n"])
def test_a_card_may_be_empty(tmp_path: Path, text: str | None) -> None:
    card = read_card(project(tmp_path, text))
    assert (card, card.rows()) == (ModelCard(), {})


def test_a_version_keeps_the_whole_card(tmp_path: Path) -> None:
    write_card(FULL, tmp_path)
    assert card_of(tmp_path) == FULL
    assert FULL.rows()["review date"] == "2027-06-30"


def test_the_card_is_among_the_files_that_a_hash_protects_and_an_empty_one_is_no_file(tmp_path: Path) -> None:
    before = files_sha256(tmp_path)
    write_card(ModelCard(), tmp_path)
    assert files_sha256(tmp_path) == before
    write_card(FULL, tmp_path)
    assert files_sha256(tmp_path) != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "license: MIT",
            r"conf/card.yaml: .*unknown field `license`.*The keys are owner, intended_use, limits, licence",
        ),
        ("owner: 7", "Expected `str`, got `int`.*owner"),
        ("review_date: soon", "review_date is a day such as 2027-06-30"),
        ("- owner", "holds list, expected the keys owner"),
        ("owner: [", "conf/card.yaml: "),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_card(project(tmp_path, text))


def test_the_template_leaves_the_intended_use_empty_if_the_description_is_the_default() -> None:
    questions = yaml.safe_load((REPOSITORY / "copier.yml").read_text(encoding="utf-8"))
    card = (REPOSITORY / "template" / "conf" / "card.yaml.jinja").read_text(encoding="utf-8")
    assert f"summary != '{questions['description']['default']}'" in card
