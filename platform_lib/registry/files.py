"""Get artifacts as local folders: local ones in place, others downloaded completely or not at all."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def cache_dir() -> Path:
    """The user's cache folder, for files that can be downloaded again."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "cloud-ml-platform"


def fetch_artifacts(source: str, download: Callable[[str, str], None], *, target: Path | None, key: str) -> Path:
    """Get the folder at the artifact URI `source` as a local folder.

    Args:
        source: Artifact URI or path.
        download: Copies all files below a URI into an existing folder.
        target: Folder to copy to; None leaves local files in place and stores others in the cache.
        key: Name in the cache; empty downloads to a new folder each time.
    Raises:
        FileNotFoundError: The URI is a local folder that does not exist.
    """
    local = local_path(source)
    if local is not None:
        if not local.is_dir():
            raise FileNotFoundError(f"{local} does not exist")
        return local if target is None else Path(shutil.copytree(local, target, dirs_exist_ok=True))
    if target is not None:
        target.mkdir(parents=True, exist_ok=True)
        download(source, str(target))
        return target
    kept = cache_dir() / "models" / key
    if key and kept.is_dir():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".fetching-", dir=kept.parent))
    download(source, str(fresh))
    if not key:
        return fresh
    try:
        fresh.replace(kept)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        if not kept.is_dir():
            raise
    return kept


def local_path(source: str) -> Path | None:
    """The folder of a `file:` URI or a plain path; None for other URIs."""
    parts = urlsplit(source)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    # One letter before the colon is a drive on Windows.
    return Path(source) if len(parts.scheme) <= 1 else None
