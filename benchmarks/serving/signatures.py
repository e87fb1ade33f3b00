"""Measure what verifying a signature adds to loading a version.

    python -m benchmarks.serving.signatures           # CPU time to validate a version, with and without its signature

A version is validated in this process as the server does it, several times in turn with and without `require`; the
medians are compared. A file of 100 MiB stands for a large model.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.serving.models import iris, mixed, write_version
from platform_lib.model.signing.bundle import sign_folder
from platform_lib.model.signing.signers import parse_signers, signer_entry
from platform_lib.model.signing.verification import OFF, SignaturePolicy, verify_signature
from platform_lib.names import VersionTag
from platform_lib.serving.models.registry_client import ResolvedVersion
from platform_lib.serving.models.validation import validate

ROUNDS = 5


def main() -> None:
    """Measure the three models and print a line for each."""
    key = ec.generate_private_key(ec.SECP256R1())
    policy = SignaturePolicy("require", parse_signers(signer_entry(key.public_key(), "benchmark"), "a benchmark"))
    for model, more_mib in ((iris(), 0), (mixed(), 0), (iris(), 100)):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "version"
            tags = {VersionTag.MODEL_SHA256: write_version(model, folder)}
            (folder / "more").write_bytes(os.urandom(more_mib * 2**20))
            sign_folder(folder, model.name, key)
            resolved = ResolvedVersion(name=model.name, version="1", tags=tags, fetch=lambda _: folder)  # noqa: B023
            seconds: dict[str, list[float]] = {"off": [], "require": [], "signature alone": []}
            for _ in range(ROUNDS + 1):  # the first round imports
                for name, signatures in (("off", OFF), ("require", policy)):
                    start = time.process_time()
                    validate(resolved, folder, package=None, trusted_types=(), signatures=signatures)
                    seconds[name].append(time.process_time() - start)
                start = time.process_time()
                verify_signature(folder, model.name, policy)
                seconds["signature alone"].append(time.process_time() - start)
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
            medians = ", ".join(
                f"{name} {statistics.median(values[1:]) * 1000:.1f} ms" for name, values in seconds.items()
            )
            print(f"{model.name}: {size:.1f} MiB in {len(list(folder.iterdir()))} files: {medians}")


if __name__ == "__main__":
    main()
