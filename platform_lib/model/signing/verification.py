"""Verify a version's signature as the policy says, before anything else reads its files."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from platform_lib.errors import UntrustedModel
from platform_lib.model.signing.bundle import read_signature, verified_files
from platform_lib.model.signing.signers import Signer
from platform_lib.model.signing.statement import MalformedSignature, file_hashes


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """Whether signatures are verified, and whose are trusted."""

    mode: str = "off"
    """`off`, `warn` or `require`."""
    signers: tuple[Signer, ...] = field(default=(), repr=False)
    """At least one, unless the mode is `off`."""


OFF: Final = SignaturePolicy()


def verify_signature(folder: Path, name: str, policy: SignaturePolicy) -> Signer:
    """Verify that a trusted signer signed exactly the files of a folder, for a model of this name.

    Args:
        folder: The version's files.
        name: The registered model.
        policy: Its signers are trusted; its mode does not matter.
    Raises:
        UntrustedModel: The signature is missing, not trusted, or of other files; one sentence.
    """
    try:
        signed = read_signature(folder)
        if signed is None:
            raise UntrustedModel("it is not signed: its artifact has no model.sig. Train it again where a key signs.")
        if signed.is_keyless:
            raise UntrustedModel(
                "it is signed without a key, by a certificate of Sigstore: verify it with `model_signing verify "
                "sigstore`, or sign with a key whose public part is trusted."
            )
        signer = next((each for each in policy.signers if each.fingerprint == signed.key), None)
        if signer is None:
            # Without the owners' names: in the mode `warn`, every caller of a server may read this.
            trusted = ", ".join(each.fingerprint[:8] for each in policy.signers)
            raise UntrustedModel(
                f"it is signed with the key {signed.key[:8]}, which is not one of the trusted keys ({trusted}). If you "
                "trust its owner, add the public key to deploy/signing.pub."
            )
        signed_name, expected = verified_files(signed, signer.key)
        if signed_name != name:
            raise UntrustedModel(f"its signature is that of another model, {signed_name!r:.100}.")
        if differences := _differences(expected, file_hashes(folder)):
            raise UntrustedModel(
                f"its signature is of other files: {differences}. Somebody changed them after signing."
            )
    except MalformedSignature as err:
        raise UntrustedModel(f"its signature {err}.") from err
    return signer


def check_signature(
    folder: Path, name: str, version: str, policy: SignaturePolicy, *, warn: Callable[[str], None]
) -> Signer | None:
    """Verify a version's signature as the policy says.

    Args:
        folder: The version's files.
        name: The registered model.
        version: Its number, for messages.
        policy: `off` verifies nothing, `warn` reports a problem, `require` refuses the version.
        warn: Called with a sentence if the policy is `warn` and the signature does not hold.
    Returns:
        Who signed it; None if that is not known.
    Raises:
        UntrustedModel: The policy is `require`, and the signature does not hold.
    """
    if policy.mode == "off":
        return None
    try:
        return verify_signature(folder, name, policy)
    except UntrustedModel as err:
        sentence = f"{name} version {version}: {err}"
        if policy.mode == "require":
            raise UntrustedModel(sentence) from err
        warn(sentence)
        return None


def _differences(expected: dict[str, str], found: dict[str, str]) -> str:
    changed = [name for name in expected if name in found and expected[name] != found[name]]
    groups = {
        "changed": changed,
        "missing": sorted(expected.keys() - found.keys()),
        "added": sorted(found.keys() - expected.keys()),
    }
    return "; ".join(
        f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''} {word}"
        for word, names in groups.items()
        if names
    )
