"""Where a project's template comes from, and which releases it has."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from platform_lib import git
from platform_lib.errors import NotFound, UsageError
from platform_lib.settings import Project

ANSWERS = ".copier-answers.yml"
_SHORT = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/"}
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")

Version = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What `.copier-answers.yml` says about the template of a project."""

    source: str
    """Address or folder of the template, as Copier stores it."""
    commit: str
    """The release, such as `v0.1.0`, or a commit as `git describe` writes it."""
    package_manager: str
    """`uv` or `pdm`."""
    answers: dict[str, Any]
    """The answers to the template's questions."""

    @property
    def address(self) -> str:
        """Return the source in the form that git understands."""
        source = self.source.removeprefix("git+")
        for short, long in _SHORT.items():
            if source.startswith(short):
                return long + source.removeprefix(short).lstrip("/")
        return source

    @property
    def version(self) -> Version:
        """Return the release that the project has, or the last one before its commit."""
        found = _VERSION.match(self.commit)
        return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)


def read_origin(project: Project) -> Origin:
    """Read where the project's template comes from.

    Raises:
        NotFound: The project has no answers file, or was generated from a folder without git.
        UsageError: The file cannot be read.
    """
    file = project.root / ANSWERS
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise NotFound(
            f"{file} is missing, so nothing says which template this project has. Restore it with "
            f"`git checkout HEAD -- {ANSWERS}`."
        ) from err
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as err:
        raise UsageError(f"{file} cannot be read. Restore it with `git checkout HEAD -- {ANSWERS}`.") from err
    if not isinstance(values, dict) or not values.get("_src_path") or not values.get("_commit"):
        raise NotFound(
            f"{file} names no version of the template, because the project was generated from a folder without git. "
            "Generate it again from an address; docs/template.md describes how."
        )
    return Origin(
        source=str(values["_src_path"]),
        commit=str(values["_commit"]),
        package_manager=str(values.get("package_manager", "uv")),
        answers={name: value for name, value in values.items() if not name.startswith("_")},
    )


def parse_version(text: str) -> Version:
    """Turn `0.2.0` or `v0.2.0` into numbers.

    Raises:
        UsageError: The text is not a version.
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        raise UsageError(f"'{text}' is not a version: give one such as 0.2.0.")
    return int(found[1]), int(found[2]), int(found[3])


def tag(version: Version) -> str:
    """Return the git tag of a release, such as `v0.2.0`."""
    return "v" + ".".join(map(str, version))


def read_releases(origin: Origin, folder: Path) -> list[Version]:
    """List the releases of the template, oldest first.

    Args:
        origin: Where the template comes from.
        folder: Where git runs.

    Raises:
        ServiceError: git cannot read the address.
        NotFound: There is no release.
    """
    listed = git.require(folder, "ls-remote", "--tags", "--refs", origin.address).splitlines()
    names = [line.rpartition("refs/tags/")[2] for line in listed]
    releases = sorted({parse_version(name) for name in names if name.startswith("v") and _VERSION.fullmatch(name)})
    if not releases:
        raise NotFound(f"{origin.address} has no release yet, so there is nothing to update to.")
    return releases


def choose(releases: list[Version], wanted: str | None, origin: Origin) -> Version:
    """Return the release to update to: `wanted`, or the newest.

    Raises:
        NotFound: There is no such release.
        UsageError: It is older than what the project has.
    """
    if wanted is None:
        return releases[-1]
    version = parse_version(wanted)
    if version not in releases:
        known = ", ".join(map(tag, releases[-5:]))
        raise NotFound(f"{origin.address} has no release {tag(version)}. The latest are {known}.")
    if version < origin.version:
        raise UsageError(
            f"{tag(version)} is older than {origin.commit}, which this project has, and templates cannot be "
            "downgraded. Revert the commit of the update instead: `git revert COMMIT`."
        )
    return version
