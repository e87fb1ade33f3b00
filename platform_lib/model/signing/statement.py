"""What a signature says: the model's name and the SHA-256 of every file in its folder.

Source: OpenSSF Model Signing 1.0, https://github.com/ossf/model-signing-spec.
"""

import hashlib
from pathlib import Path
from typing import Any

from platform_lib.errors import UntrustedModel
from platform_lib.names import ArtifactFile

PREDICATE = "https://model_signing/signature/v1.0"
STATEMENT = "https://in-toto.io/Statement/v1"
UNSIGNED = (ArtifactFile.SIGNATURE, ArtifactFile.MLFLOW_REFERENCE)
"""Files of a folder that no signature covers: itself, and what MLflow adds to a local store when it loads a model."""


class MalformedSignature(UntrustedModel):
    """A signature is not in the format; the message is a clause that continues `its signature …`."""


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder except those of `UNSIGNED`, by its path with `/`, sorted.

    Raises:
        MalformedSignature: The folder holds a link or something else that is no file, which cannot be signed.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise MalformedSignature(f"cannot cover {name}, which is not a regular file")
        if path.is_file() and name not in UNSIGNED:
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def make_statement(name: str, hashes: dict[str, str]) -> dict[str, Any]:
    """The in-toto statement of a model's files."""
    names = sorted(hashes)
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": _root([hashes[each] for each in names])}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": list(UNSIGNED),
            },
            "resources": [{"name": each, "algorithm": "sha256", "digest": hashes[each]} for each in names],
        },
    }


def read_statement(statement: Any) -> tuple[str, dict[str, str]]:
    """The model's name and the hashes by file in a statement.

    Raises:
        MalformedSignature: It is not a statement about a model's files.
    """
    try:
        kinds = statement["_type"], statement["predicateType"], statement["predicate"]["serialization"]["method"]
        (subject,) = statement["subject"]
        name, root = str(subject["name"]), subject["digest"]["sha256"]
        resources = statement["predicate"]["resources"]
        hashes = {str(each["name"]): str(each["digest"]) for each in resources if each["algorithm"] == "sha256"}
        order = [str(each["digest"]) for each in resources]
        is_consistent = len(hashes) == len(resources) and _root(order) == root
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise MalformedSignature(f"does not list a model's files ({type(err).__name__})") from err
    if kinds != (STATEMENT, PREDICATE, "files") or not is_consistent:
        raise MalformedSignature("does not list a model's files by their SHA-256 as OpenSSF Model Signing 1.0 does")
    return name, hashes


def _root(digests: list[str]) -> str:
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()
