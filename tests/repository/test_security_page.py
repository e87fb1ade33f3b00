"""docs/security.md names every file of tests/security, and no other."""

import re

from tests.conftest import REPOSITORY


def test_the_page_lists_every_boundary_with_its_tests() -> None:
    page = (REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8")
    there = {file.name for file in (REPOSITORY / "tests" / "security").rglob("test_*.py")}

    assert set(re.findall(r"`(test_\w+\.py)`", page)) == there
