"""The policy that trusts the key with which the tests' own trainings sign."""

from platform_lib.model.signing.keys import default_key_file, open_key
from platform_lib.model.signing.signers import parse_signers, signer_entry
from platform_lib.model.signing.verification import SignaturePolicy


def own_signature_policy() -> SignaturePolicy:
    """Require a signature by this machine's key."""
    entry = signer_entry(open_key(default_key_file()).public_key(), "the tests")
    return SignaturePolicy("require", parse_signers(entry, "the tests"))
