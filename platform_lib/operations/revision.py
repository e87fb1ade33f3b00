"""Which commit an image is built from, as its tag: for people who read a list of images. What is deployed is the digest."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path


def image_tag(folder: Path) -> str:
    """Time and commit, such as `20261125-184500-1a2b3c4d`; `-dirty` when files differ from that commit."""
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    commit = _git(folder, "rev-parse", "--short=8", "HEAD")
    if not commit:
        return moment
    return f"{moment}-{commit}{'-dirty' if _git(folder, 'status', '--porcelain', '--untracked-files=no') else ''}"


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
