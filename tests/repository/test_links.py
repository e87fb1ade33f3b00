"""Links between the repository's own pages, and addresses of this repository, lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import REPOSITORY, git

HOME = "https://github.com/cloud-ml-platform/cloud-ml-platform/blob/main/"


def tracked() -> list[Path]:
    """Files of the repository that are read as text here."""
    names = git(REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    files = [REPOSITORY / name for name in names if name]
    return [path for path in files if path.is_file()]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: dict[str, int] = {}
    made = set()
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        made.add(anchor if anchor not in found else f"{anchor}-{found[anchor]}")
        found[anchor] = found.get(anchor, 0) + 1
    return made


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """The files and anchors that a page's relative links name."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield (page.parent / path if path else page), anchor


def test_relative_links_lead_to_files_and_headings() -> None:
    broken = []
    for page in [path for path in tracked() if path.suffix == ".md" and "template" not in path.parts]:
        for target, anchor in links(page):
            if not target.exists():
                broken.append(f"{page.name}: {target}")
            elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                broken.append(f"{page.name}: {target.name}#{anchor}")
    assert broken == []


def test_addresses_of_this_repository_lead_to_files() -> None:
    found = []
    for path in tracked():
        if path.suffix in (".md", ".jinja", ".py", ".yml", ".yaml", ".toml"):
            found += re.findall(re.escape(HOME) + r"([\w/.-]+[\w])", path.read_text(encoding="utf-8"))
    assert "docs/README.md" in found
    assert [name for name in found if not (REPOSITORY / name).exists()] == []


def test_the_index_lists_every_page() -> None:
    index = REPOSITORY / "docs" / "README.md"
    listed = {target.resolve() for target, _ in links(index)}
    pages = {path.resolve() for path in (REPOSITORY / "docs").rglob("*.md")} - {index.resolve()}
    assert sorted(page.name for page in pages - listed) == []
