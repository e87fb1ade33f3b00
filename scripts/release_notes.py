"""Print the release notes of a tag from CHANGELOG.md: `python -m scripts.release_notes v1.2.3`."""

import re
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def release_notes(tag: str, changelog: str, version: str) -> str:
    """The section of a release, without its heading.

    Args:
        tag: Of the release, such as v1.2.3.
        changelog: Text of CHANGELOG.md.
        version: That pyproject.toml states.
    Raises:
        ValueError: The tag does not have that version, or the changelog has no section with content for it.
    """
    if tag != f"v{version}":
        raise ValueError(f"the tag is {tag}, but pyproject.toml has version {version}: the tag must be v{version}.")
    heading = re.compile(rf"^## \[?{re.escape(version)}\]?(?= |$).*$", re.MULTILINE)
    found = heading.search(changelog)
    notes = "" if found is None else re.split(r"^## ", changelog[found.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    if not notes.strip():
        raise ValueError(f"CHANGELOG.md has no section '## {version}' with content: move the unreleased changes there.")
    return notes.strip() + "\n"


if __name__ == "__main__":
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    try:
        print(release_notes(sys.argv[1], (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), project["version"]))
    except ValueError as err:
        sys.exit(f"error: {err}")
