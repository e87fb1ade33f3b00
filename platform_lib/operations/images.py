"""Build an image with docker, podman or buildah, push it, and return its digest."""

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
    """A program that builds images, and its command lines."""

    name: str
    path: str

    def build_command(self, folder: Path, reference: str, target: str, build_args: Mapping[str, str]) -> list[str]:
        """Return the command that builds one target of the folder's Dockerfile."""
        word = ["build"] if self.name != "buildah" else ["build", "--layers"]
        given = [part for name, value in build_args.items() for part in ("--build-arg", f"{name}={value}")]
        return [self.path, *word, *given, "--target", target, "--tag", reference, str(folder)]

    def push_command(self, reference: str, digest_file: Path) -> list[str]:
        """Return the command that pushes; podman and buildah write the digest to a file."""
        return [self.path, "push", *([] if self.name == "docker" else ["--digestfile", str(digest_file)]), reference]


def find_builder(wanted: str = "") -> Builder:
    """Find the first of docker, podman and buildah that works; docker without its daemon does not.

    Raises:
        UsageError: None of them works.
    """
    for name in (wanted,) if wanted else BUILDERS:
        path = shutil.which(name)
        if path is not None and _works(name, path):
            return Builder(name, path)
    looked = wanted or ", ".join(BUILDERS)
    raise UsageError(
        f"no working image builder found (looked for {looked}): install one, or build elsewhere and deploy with "
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
    """Build and push an image, and return its name by digest.

    Args:
        builder: Program that builds and pushes.
        folder: Folder with the Dockerfile.
        repository: Repository without a tag, such as registry.example.com/team/churn-model.
        tag: Tag for people; deployments use the digest.
        target: Target of the Dockerfile.
        build_args: Build arguments of the Dockerfile.
        say: Called with each line of progress.
    Raises:
        UsageError: There is no Dockerfile, or the repository has a tag.
        ServiceError: The builder failed; the message ends with its last lines.
    """
    if not (folder / "Dockerfile").is_file():
        raise UsageError(f"there is no Dockerfile in {folder}: `copier update` restores it.")
    if not is_repository(repository):
        raise UsageError(
            f"the repository is {repository!r}, expected one without tag and digest, such as "
            "registry.example.com/team/model."
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
            f"docker has no digest of {reference} although it was pushed: check with `docker image inspect "
            f"{reference}`."
        )
    return found[-1]


def is_pinned(reference: str) -> bool:
    """Whether an image reference has a digest."""
    name, _, digest = reference.partition(_DIGEST)
    return bool(name) and len(digest) == 64 and set(digest) <= set("0123456789abcdef")


def is_repository(text: str) -> bool:
    """Whether a text is an image repository: no tag, digest or scheme."""
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
