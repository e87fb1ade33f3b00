"""The private key that signs what is trained here: a file of the user, made when it is first needed."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from platform_lib.errors import UsageError
from platform_lib.names import Env

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_CURVES = ("secp256r1", "secp384r1", "secp521r1")


def default_key_file() -> Path:
    """The user's own signing key, shared by all projects of this user on this machine."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "cloud-ml-platform" / "signing.key"


def open_key(path: Path) -> "EllipticCurvePrivateKey":
    """Read a private key, and make it first if the file does not exist.

    Raises:
        UsageError: The file is not a usable private key, or others may read it.
        OSError: It cannot be written.
    """
    if not path.exists():
        _make_key(path)
    return read_key(path)


def read_key(path: Path) -> "EllipticCurvePrivateKey":
    """Read a private key in PEM.

    Raises:
        UsageError: The file is not an unencrypted elliptic-curve key, or others may read it.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    remedy = f"Name another with {Env.SIGNING_KEY}, or set {Env.SIGN}=off to register unsigned versions."
    if os.name == "posix" and path.stat().st_mode & 0o077 and path.stat().st_uid == os.getuid():
        raise UsageError(f"other users may read the signing key {path}: run `chmod 600 {path}`.")
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as err:
        raise UsageError(f"{path} is not an unencrypted private key in PEM: {err!s:.100}. {remedy}") from err
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name not in _CURVES:
        raise UsageError(f"{path} is a {type(key).__name__.strip('_')}, expected a key on the curve P-256. {remedy}")
    return key


def _make_key(path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        os.link(fresh, path)  # never replaces a key that another process made meanwhile
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
