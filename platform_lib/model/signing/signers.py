"""The public keys that a project trusts to sign its models: `deploy/signing.pub`, one PEM after another."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platform_lib.errors import UsageError
from platform_lib.model.signing.bundle import fingerprint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_PEM = re.compile(r"((?:^#.*\n|^[ \t]*\n)*)(-----BEGIN [A-Z ]+-----[^-]*-----END [A-Z ]+-----)", re.MULTILINE)
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


@dataclass(frozen=True, slots=True)
class Signer:
    """A trusted public key."""

    name: str
    """From the comment above the key; empty without one."""
    fingerprint: str
    """SHA-256, hexadecimal."""
    key: "EllipticCurvePublicKey"

    def __str__(self) -> str:
        return signer_text(self.name, self.fingerprint)


def signer_text(name: str, key: str) -> str:
    """Name a signer for people: `Ada <ada@example.com> (key 3f2a91c0)`."""
    return f"{name} (key {key[:8]})" if name else f"key {key[:8]}"


def read_signers(path: Path) -> tuple[Signer, ...]:
    """Read a file of public keys.

    Raises:
        UsageError: The file does not exist, holds no key, or one that is not a public key on P-256, P-384 or P-521.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise UsageError(
            f"the public keys of the signers cannot be read from {path} ({type(err).__name__}): expected PEM. "
            "`mlp models trust` writes this machine's."
        ) from err
    return parse_signers(text, str(path))


def parse_signers(text: str, where: str) -> tuple[Signer, ...]:
    """Parse the content of a file of public keys, see `read_signers`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    found = []
    for comment, pem in _PEM.findall(text):
        try:
            key = load_pem_public_key(pem.encode())
        except (ValueError, TypeError, UnsupportedAlgorithm) as err:
            raise UsageError(f"{where} holds a key that is not a public key in PEM: {err!s:.100}") from err
        if not isinstance(key, EllipticCurvePublicKey) or key.curve.name not in _CURVES:
            raise UsageError(f"{where} holds a key that is not on the curve P-256, P-384 or P-521.")
        lines = [line.lstrip("# ").strip() for line in comment.splitlines() if line.startswith("#")]
        found.append(Signer(lines[-1] if lines else "", fingerprint(key), key))
    if not found or text.count("-----BEGIN") != len(found):
        raise UsageError(
            f"{where} holds {len(found)} complete public keys, and {text.count('-----BEGIN')} that begin: expected one "
            "or more. `mlp models trust` writes this machine's."
        )
    return tuple(found)


def signer_entry(key: "EllipticCurvePublicKey", name: str) -> str:
    """A key as an entry of the file, with its owner's name."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return f"# {' '.join(name.split())}\n{pem}"
