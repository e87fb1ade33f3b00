"""Which commit an image is built from, as its tag: for people who read a list of images. What is deployed is the digest."""

from datetime import UTC, datetime
from pathlib import Path

from platform_lib import git


def image_tag(folder: Path) -> str:
    """Time and commit, such as `20261125-184500-1a2b3c4d`; `-dirty` when files differ from that commit."""
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    commit = (git.output(folder, "rev-parse", "--short=8", "HEAD") or "").strip()
    if not commit:
        return moment
    return f"{moment}-{commit}{'-dirty' if git.output(folder, 'status', '--porcelain', '--untracked-files=no') else ''}"
