"""Whose signatures a project trusts, and the key that signs what it registers: settings to values."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from platform_lib.errors import UsageError
from platform_lib.model.signing.verification import OFF, SignaturePolicy
from platform_lib.names import Env
from platform_lib.settings import SIGNATURE_MODES, Project, Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

log = logging.getLogger("platform_lib.registry")


def signature_policy(project: Project | None, settings: Settings) -> SignaturePolicy:
    """The policy of the environment, else of the project, else `warn` if there are trusted keys and `off` if not.

    Raises:
        UsageError: The policy has another value, the file of trusted keys cannot be read, or signatures are required
            and no key is trusted.
    """
    mode = settings.signatures or (project.signatures if project is not None else None)
    if mode is not None and mode not in SIGNATURE_MODES:
        raise UsageError(f"{Env.SIGNATURES} is {mode!r}, expected off, warn or require.")
    if mode == "off":
        return OFF
    file = Path(settings.signers) if settings.signers else None
    if file is None and project is not None and project.signers_file.is_file():
        file = project.signers_file
    if file is None:
        if mode is None:
            return OFF
        raise UsageError(
            f"signatures are set to {mode!r}, but no key is trusted: `mlp models trust` writes this machine's public "
            f"key into deploy/signing.pub; elsewhere, {Env.SIGNERS} names the file."
        )
    from platform_lib.model.signing.signers import read_signers

    return SignaturePolicy(mode or "warn", read_signers(file))


def signing_key(settings: Settings) -> "EllipticCurvePrivateKey | None":
    """The key that signs what is registered, made at its first use; None if nothing is signed.

    Raises:
        UsageError: The key cannot be used, or one that the settings ask for cannot be made.
    """
    if settings.sign not in (None, "key", "off"):
        raise UsageError(f"{Env.SIGN} is {settings.sign!r}, expected key or off.")
    if settings.sign == "off":
        return None
    from platform_lib.model.signing.keys import open_key

    path = signing_key_file(settings)
    try:
        return open_key(path)
    except OSError as err:
        if settings.sign is None and settings.signing_key is None:
            # A machine without a writable home folder can train all the same.
            log.warning("the version will not be signed: %s cannot be read or made: %s.", path, err.strerror or err)
            return None
        raise UsageError(
            f"the signing key {path} cannot be read or made: {err.strerror or err}. Name another file with "
            f"{Env.SIGNING_KEY}, or set {Env.SIGN}=off to register unsigned versions."
        ) from err


def signing_key_file(settings: Settings) -> Path:
    """The file of this machine's private key; need not exist."""
    from platform_lib.model.signing.keys import default_key_file

    return Path(settings.signing_key) if settings.signing_key else default_key_file()
