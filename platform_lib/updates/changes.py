"""What changed for the user between two releases, from the template's CHANGELOG.md."""

import re
import tempfile
from pathlib import Path

from platform_lib import git
from platform_lib.updates.releases import Origin, Version, parse_version, tag

_MOST_LINES = 40
_HEADING = re.compile(r"^## \[?v?(\d+\.\d+\.\d+)\]?", re.MULTILINE)


def read_changelog(origin: Origin, version: Version) -> str:
    """Read CHANGELOG.md of a release from the template's repository; empty if it has none.

    Raises:
        ServiceError: git cannot fetch the release.
    """
    with tempfile.TemporaryDirectory(prefix="mlp-update-") as temporary:
        folder = Path(temporary)
        options = ["--quiet", "--depth", "1", "--no-checkout", "--branch", tag(version)]
        source = Path(origin.address).as_uri() if Path(origin.address).is_dir() else origin.address
        git.require(folder, "clone", *options, source, "template")
        return git.output(folder / "template", "show", "HEAD:CHANGELOG.md") or ""


def summarise(changelog: str, before: Version, after: Version) -> list[str]:
    """Return the changes of the releases after `before`, up to `after`, newest first.

    Upgrade notes are complete; of other entries the first sentence is given.

    Args:
        changelog: CHANGELOG.md, with one `## 1.2.3` heading per release.
        before: The release that the project had.
        after: The release that it has now.
    """
    headings = list(_HEADING.finditer(changelog))
    ends = [*(heading.start() for heading in headings), len(changelog)][1:]
    lines: list[str] = []
    for heading, end in zip(headings, ends, strict=True):
        if before < parse_version(heading[1]) <= after:
            _, _, section = changelog[heading.start() : end].partition("\n")
            lines += [f"{heading[1]}:", *_entries(section)]
    hidden = len(lines) - _MOST_LINES
    return lines if hidden <= 0 else [*lines[:_MOST_LINES], f"… and {hidden} more in CHANGELOG.md."]


def _entries(section: str) -> list[str]:
    notes, others = [], []
    for part in re.split(r"^### ", section, flags=re.MULTILINE):
        title, _, text = part.partition("\n")
        for entry in re.split(r"^- ", text, flags=re.MULTILINE)[1:]:
            words = " ".join(entry.split("\n\n")[0].split())
            if title.strip() == "Upgrade notes":
                notes.append(f"  Upgrade note: {words}")
            else:
                others.append(f"  {re.split(r'(?<=[.!?]) (?=[A-Z`])', words)[0]}")
    return notes + others
