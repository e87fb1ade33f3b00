"""Build the `serve` image and push it, with whichever builder is there, and say its digest. What is in it, the Dockerfile says."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from platform_lib.errors import ServiceError, UsageError

BUILDERS = ("docker", "podman", "buildah")
_DIGEST = "@sha256:"


@dataclass(frozen=True, slots=True)
class Builder:
    """A program that builds images, and how it is called."""

    name: str
    path: str

    def build_command(self, folder: Path, reference: str, target: str, build_args: Mapping[str, str]) -> list[str]:
        """Builds one target of the folder's Dockerfile."""
        word = ["build"] if self.name != "buildah" else ["build", "--layers"]
        given = [part for name, value in build_args.items() for part in ("--build-arg", f"{name}={value}")]
        return [self.path, *word, *given, "--target", target, "--tag", reference, str(folder)]

    def push_command(self, reference: str, digest_file: Path) -> list[str]:
        """Pushes; podman and buildah write the digest into a file."""
        return [self.path, "push", *([] if self.name == "docker" else ["--digestfile", str(digest_file)]), reference]


def find_builder(wanted: str = "") -> Builder:
    """The first of docker, podman and buildah that works here: a docker without its daemon does not.

    Raises:
        UsageError: None is there.
    """
    for name in (wanted,) if wanted else BUILDERS:
        path = shutil.which(name)
        if path is not None and _works(name, path):
            return Builder(name, path)
    looked = wanted or ", ".join(BUILDERS)
    raise UsageError(
        f"no program here builds images (looked for {looked}, and whether it runs): install one, or build elsewhere and deploy with "
        "`mlp deploy --image NAME@sha256:…`."
    )


def build_and_push(
    builder: Builder,
    folder: Path,
    repository: str,
    tag: str,
    *,
    target: str = "serve",
    build_args: Mapping[str, str] | None = None,
    say: Callable[[str], None],
) -> str:
    """Build and push; returns the image by its digest.

    Args:
        folder: With a Dockerfile.
        repository: Such as registry.example.com/team/churn-model, without a tag.
        tag: For people; the digest is what is deployed.
        build_args: Arguments of the Dockerfile.
    Raises:
        UsageError: There is no Dockerfile, or the repository has a tag already.
        ServiceError: The builder failed; the end of what it said.
    """
    if not (folder / "Dockerfile").is_file():
        raise UsageError(f"there is no Dockerfile in {folder}: `copier update` brings the template's.")
    if not is_repository(repository):
        raise UsageError(
            f"the repository is {repository!r}: give it without tag and digest, such as registry.example.com/team/model."
        )
    reference = f"{repository}:{tag}"
    say(f"Building {reference} with {builder.name}.")
    _run(builder.build_command(folder, reference, target, build_args or {}))
    say(f"Pushing {reference}.")
    with tempfile.TemporaryDirectory(prefix="mlp-push-") as scratch:
        digest_file = Path(scratch) / "digest"
        _run(builder.push_command(reference, digest_file))
        if builder.name != "docker":
            return f"{repository}@{digest_file.read_text(encoding='utf-8').strip()}"
    listed = json.loads(
        _run([builder.path, "image", "inspect", "--format", "{{json .RepoDigests}}", reference]) or "[]"
    )
    found = [str(entry) for entry in listed or [] if str(entry).startswith(f"{repository}{_DIGEST}")]
    if not found:
        raise ServiceError(
            f"docker knows no digest of {reference} although it was pushed: look with `docker image inspect {reference}`."
        )
    return found[-1]


def is_pinned(reference: str) -> bool:
    """Whether the image is named by a digest."""
    name, _, digest = reference.partition(_DIGEST)
    return bool(name) and len(digest) == 64 and set(digest) <= set("0123456789abcdef")


def is_repository(text: str) -> bool:
    """Whether it is a place for images: no tag, no digest, no scheme."""
    return bool(text) and "@" not in text and "://" not in text and ":" not in text.rsplit("/", 1)[-1]


def _works(name: str, path: str) -> bool:
    probe = [path, "version", "--format", "{{.Server.Version}}"] if name == "docker" else [path, "version"]
    try:
        return subprocess.run(probe, capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as err:
        raise ServiceError(f"{command[0]} cannot be run: {err.strerror}.") from err
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise ServiceError(f"`{Path(command[0]).name} {' '.join(command[1:3])} …` failed:\n" + "\n".join(lines[-15:]))
    return done.stdout.strip()
