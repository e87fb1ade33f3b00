"""The tag of an image: build time and commit."""

from datetime import UTC, datetime
from pathlib import Path

from platform_lib import git


def image_tag(folder: Path) -> str:
    """Return time and commit, such as `20261125-184500-1a2b3c4d`; `-dirty` if tracked files differ from it."""
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    commit = (git.output(folder, "rev-parse", "--short=8", "HEAD") or "").strip()
    if not commit:
        return moment
    return f"{moment}-{commit}{'-dirty' if git.output(folder, 'status', '--porcelain', '--untracked-files=no') else ''}"
