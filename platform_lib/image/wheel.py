"""Build a wheel from an installed pure-Python distribution.

Packages that the lock takes from git or a folder get into an image this way, without git or network.
"""

import base64
import hashlib
import importlib.metadata
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from platform_lib.errors import UsageError

_METADATA = ("METADATA", "entry_points.txt", "licenses/")
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def write_wheel(name: str, folder: Path) -> Path:
    """Pack an installed distribution into `folder`; the same files give the same bytes.

    Returns:
        Path of the wheel.
    Raises:
        UsageError: It is not installed, or contains compiled code.
    """
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as err:
        raise UsageError(f"{name} is in the lock but not installed: run `make setup`.") from err
    if "Root-Is-Purelib: false" in (distribution.read_text("WHEEL") or ""):
        raise UsageError(
            f"{name} comes from git or a folder and contains compiled code, which works only on this machine: "
            "publish it to a package index, so that the image can install it from there."
        )
    stem = f"{distribution.name.replace('-', '_')}-{distribution.version}"
    files = dict(sorted(_package_files(distribution))) | dict(
        sorted(_metadata_files(distribution, f"{stem}.dist-info"))
    )
    files[f"{stem}.dist-info/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: platform-lib\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = f"{stem}.dist-info/RECORD"
    lines = [f"{path},sha256={_digest(content)},{len(content)}\n" for path, content in files.items()]
    files[record] = "".join([*lines, f"{record},,\n"]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, _LONG_AGO), content, zipfile.ZIP_DEFLATED)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{stem}-py3-none-any.whl"
    target.write_bytes(packed.getvalue())
    return target


def _package_files(distribution: importlib.metadata.Distribution) -> Iterator[tuple[str, bytes]]:
    recorded = [
        path for path in distribution.files or [] if ".." not in path.parts and not path.parts[0].endswith(".dist-info")
    ]
    sources = [path for path in recorded if path.suffix not in (".pyc", ".pth") and "__editable__" not in path.name]
    if sources:
        for path in sources:
            yield path.as_posix(), Path(str(path.locate())).read_bytes()
        return
    # An editable installation: take the folders in its `.pth` file.
    for pth in (path for path in recorded if path.suffix == ".pth"):
        for root in map(Path, Path(str(pth.locate())).read_text(encoding="utf-8").split()):
            package = root / distribution.name.replace("-", "_")
            for source in sorted(package.rglob("*")):
                if source.is_file() and "__pycache__" not in source.parts:
                    yield source.relative_to(root).as_posix(), source.read_bytes()


def _metadata_files(distribution: importlib.metadata.Distribution, folder: str) -> Iterator[tuple[str, bytes]]:
    for path in distribution.files or []:
        inside = "/".join(path.parts[1:])
        if path.parts[0].endswith(".dist-info") and inside.startswith(_METADATA):
            yield f"{folder}/{inside}", Path(str(path.locate())).read_bytes()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
