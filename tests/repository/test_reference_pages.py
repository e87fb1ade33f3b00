"""The generated tables of docs/ say what the code says, and leave nothing undescribed."""

import re

import pytest

from scripts import command_reference, conf_reference
from scripts.reference_pages import DOCS, SECTIONS, marks, written


@pytest.mark.parametrize("page", sorted({page for page, _ in SECTIONS}))
def test_a_page_has_its_generated_tables_as_the_code_has_them(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert written(page, text) == text, "run python -m scripts.reference_pages"


def test_a_page_without_its_marks_is_refused() -> None:
    begin, _ = marks("commands")
    with pytest.raises(ValueError, match=re.escape("docs/commands.md has no section 'commands'")):
        written("commands.md", f"# Commands\n{begin}")


@pytest.mark.parametrize("table", [command_reference.text(), conf_reference.text()], ids=["commands", "keys"])
def test_every_option_and_key_has_a_meaning(table: str) -> None:
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines() if line.startswith("| `")]
    assert rows
    assert [row[0].strip() for row in rows if not row[-1].strip()] == []
    assert {len(row) for row in rows} in ({2}, {4})
