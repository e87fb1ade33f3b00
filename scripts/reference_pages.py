"""Write the generated tables of docs/ from the code: `python -m scripts.reference_pages`."""

from pathlib import Path

from scripts import command_reference, conf_reference, public_names

DOCS = Path(__file__).resolve().parents[1] / "docs"
SECTIONS = {
    ("reference.md", "public names"): public_names.table,
    ("commands.md", "commands"): command_reference.text,
    ("configuration.md", "keys"): conf_reference.text,
    ("monitoring.md", "monitor keys"): conf_reference.monitor_text,
    ("model-card.md", "card keys"): conf_reference.card_text,
    ("platform/training.md", "platform keys"): conf_reference.platform_text,
}
"""Page and name of a generated section → what makes its Markdown."""


def marks(section: str) -> tuple[str, str]:
    """The lines before and after a generated section."""
    return f"<!-- {section}: written by `python -m scripts.reference_pages` -->\n", f"<!-- end of {section} -->\n"


def written(page: str, text: str) -> str:
    """A page of docs/ with its generated sections as the code has them now.

    Args:
        page: File name of the page.
        text: Its present text.
    Raises:
        ValueError: The page lacks the marks of one of its sections.
    """
    for (name, section), make in SECTIONS.items():
        if name != page:
            continue
        begin, end = marks(section)
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"docs/{page} has no section {section!r}: put {begin.strip()} and {end.strip()} into it.")
        before, rest = text.split(begin)
        text = before + begin + make() + end + rest.split(end)[1]
    return text


if __name__ == "__main__":
    for page in sorted({name for name, _ in SECTIONS}):
        path = DOCS / page
        path.write_text(written(page, path.read_text(encoding="utf-8")), encoding="utf-8")
