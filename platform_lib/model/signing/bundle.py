"""Write and read a signature: a Sigstore bundle with a DSSE envelope, signed with an elliptic-curve key."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_lib.model.signing.statement import MalformedSignature, file_hashes, make_statement, read_statement
from platform_lib.names import ArtifactFile

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_IN_TOTO = "application/vnd.in-toto+json"
_LARGEST = 16 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedFiles:
    """The content of a signature, before anybody verified it."""

    key: str
    """Fingerprint of the key that it names; empty if it was made with a certificate."""
    payload: bytes
    signature: bytes
    is_keyless: bool
    """Made with a short-lived certificate of Sigstore."""


def sign_folder(folder: Path, name: str, key: "EllipticCurvePrivateKey") -> str:
    """Sign all files in a folder, and write the signature next to them.

    Args:
        folder: Complete; a file that is added later is reported as an extra file.
        name: Of the registered model, which the signature binds.
        key: On one of the curves P-256, P-384 and P-521.
    Returns:
        The key's fingerprint.
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    payload = json.dumps(make_statement(name, file_hashes(folder))).encode()
    public = key.public_key()
    signature = key.sign(_pae(payload), ec.ECDSA(_digest_of(public)))
    print_of_key = fingerprint(public)
    bundle = {
        "mediaType": _BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": print_of_key}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _IN_TOTO,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    (folder / ArtifactFile.SIGNATURE).write_text(json.dumps(bundle), encoding="utf-8")
    return print_of_key


def read_signature(folder: Path) -> SignedFiles | None:
    """Read a folder's signature without verifying it; None if there is none.

    Raises:
        MalformedSignature: The file is not a signature.
    """
    path = folder / ArtifactFile.SIGNATURE
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _LARGEST:
            raise MalformedSignature(f"is larger than {_LARGEST // 2**20} MiB")
        bundle = json.loads(path.read_bytes())
        material, envelope = bundle["verificationMaterial"], bundle["dsseEnvelope"]
        kinds = bundle["mediaType"], envelope["payloadType"]
        (one,) = envelope["signatures"]
        payload, signature = (base64.b64decode(text, validate=True) for text in (envelope["payload"], one["sig"]))
        is_keyless = "publicKey" not in material
        key = "" if is_keyless else str(material["publicKey"]["hint"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as err:
        raise MalformedSignature(f"is not a Sigstore bundle with one DSSE signature ({type(err).__name__})") from err
    if kinds != (_BUNDLE, _IN_TOTO):
        raise MalformedSignature(f"is of the type {kinds[0]!r:.60} over {kinds[1]!r:.60}, expected {_BUNDLE}")
    return SignedFiles(key=key, payload=payload, signature=signature, is_keyless=is_keyless)


def verified_files(signed: SignedFiles, key: "EllipticCurvePublicKey") -> tuple[str, dict[str, str]]:
    """The model's name and its files' hashes, once the key confirms them.

    Raises:
        MalformedSignature: The key did not make this signature, or it does not list files.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key.verify(signed.signature, _pae(signed.payload), ec.ECDSA(_digest_of(key)))
    except InvalidSignature as err:
        raise MalformedSignature("was not made with the key that it names, or was changed") from err
    return read_statement(_parsed(signed.payload))


def fingerprint(key: "EllipticCurvePublicKey") -> str:
    """SHA-256 of a public key's PEM, hexadecimal, as in the signatures of `model_signing`."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _digest_of(key: "EllipticCurvePublicKey") -> Any:
    """The hash that belongs to a curve in Sigstore's bundles."""
    from cryptography.hazmat.primitives import hashes

    return {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[key.curve.key_size]


def _pae(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: the signature covers the payload's type too."""
    return b"DSSEv1 %d %s %d %s" % (len(_IN_TOTO), _IN_TOTO.encode(), len(payload), payload)


def _parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as err:
        raise MalformedSignature("signs something that is not JSON") from err
