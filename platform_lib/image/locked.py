"""Read uv.lock or pdm.lock and resolve the distributions that an image installs."""

import platform
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from platform_lib.errors import UsageError

MACHINES = ("x86_64", "aarch64")
"""Architectures of images. Both get the distributions that either needs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """One distribution in a lock file."""

    name: str
    """Canonical name."""
    version: str
    hashes: tuple[str, ...]
    """`sha256:…` of each of its files; empty if it does not come from an index."""
    dependencies: tuple[Requirement, ...]
    extras: dict[str, tuple[Requirement, ...]] = field(default_factory=dict)
    """Requirements that each extra adds."""
    markers: tuple[str, ...] = ()
    """Environment markers, of which one must hold; empty if it applies everywhere."""

    def line(self) -> str:
        """Format as a line of a pip requirements file."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash={each}" for each in self.hashes)])


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file: canonical name → its versions, each with markers."""

    file: Path
    distributions: dict[str, list[Distribution]]

    def closure(
        self, requirements: Iterable[Requirement], *, without: frozenset[str] = frozenset()
    ) -> list[Distribution]:
        """Resolve requirements for Linux with this Python version.

        Args:
            requirements: Direct requirements.
            without: Names to leave out, with their requirements.
        Returns:
            All distributions needed, sorted by name.
        Raises:
            UsageError: The lock file lacks a required distribution.
        """
        waiting = [requirement for requirement in requirements if holds(requirement.marker)]
        done: set[tuple[str, str]] = set()
        found: dict[str, Distribution] = {}
        while waiting:
            requirement = waiting.pop()
            name = canonicalize_name(requirement.name)
            if name in without:
                continue
            distribution = found.get(name) or self._pick(name, requirement.specifier)
            found[name] = distribution
            for extra in ("", *requirement.extras):
                if (name, extra) not in done:
                    done.add((name, extra))
                    added = (
                        distribution.extras.get(canonicalize_name(extra), ()) if extra else distribution.dependencies
                    )
                    waiting += [each for each in added if holds(each.marker)]
        return [found[name] for name in sorted(found)]

    def _pick(self, name: str, specifier: SpecifierSet) -> Distribution:
        candidates = [
            each
            for each in self.distributions.get(name, [])
            if not each.markers or any(holds(Marker(text)) for text in each.markers)
        ]
        fitting = [each for each in candidates if specifier.contains(each.version, prereleases=True)]
        if not fitting:
            raise UsageError(
                f"{self.file.name} has no {name} that matches {str(specifier) or 'this environment'}: run `make "
                "lock` and "
                "`make setup`, then commit the lock."
            )
        return fitting[0]


def read_lock(file: Path) -> Lock:
    """Read uv.lock or pdm.lock.

    Raises:
        UsageError: The file is not a valid lock file.
    """
    try:
        packages = tomllib.loads(file.read_text(encoding="utf-8")).get("package", [])
        made = list(_from_uv(packages) if file.name == "uv.lock" else _from_pdm(packages))
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as err:
        raise UsageError(f"{file} is not a valid lock file ({type(err).__name__}: {err}). Run `make lock`.") from err
    distributions: dict[str, list[Distribution]] = {}
    for distribution in made:
        distributions.setdefault(distribution.name, []).append(distribution)
    return Lock(file, distributions)


def _from_uv(packages: list[dict[str, Any]]) -> Iterator[Distribution]:
    for package in packages:
        from_index = "registry" in package["source"]
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        yield Distribution(
            name=canonicalize_name(package["name"]),
            version=package.get("version", "0"),
            hashes=tuple(file["hash"] for file in files) if from_index else (),
            dependencies=tuple(_uv_edge(edge) for edge in package.get("dependencies", [])),
            extras={
                canonicalize_name(extra): tuple(map(_uv_edge, edges))
                for extra, edges in package.get("optional-dependencies", {}).items()
            },
            markers=tuple(package.get("resolution-markers", [])),
        )


def _uv_edge(edge: dict[str, Any]) -> Requirement:
    extras = f"[{','.join(edge['extra'])}]" if edge.get("extra") else ""
    version = f"=={edge['version']}" if "version" in edge else ""
    return Requirement(f"{edge['name']}{extras}{version}" + (f" ; {edge['marker']}" if "marker" in edge else ""))


def _from_pdm(packages: list[dict[str, Any]]) -> Iterator[Distribution]:
    """Merge PDM's separate entries of a distribution with extras, which list what the extras add."""
    extras: dict[tuple[str, str], dict[str, tuple[Requirement, ...]]] = {}
    for package in packages:
        key = (canonicalize_name(package["name"]), package["version"])
        for extra in package.get("extras", []):
            # An entry with several extras does not say which adds what, so each gets all of it.
            added = extras.setdefault(key, {})
            added[canonicalize_name(extra)] = added.get(canonicalize_name(extra), ()) + tuple(
                map(Requirement, package.get("dependencies", []))
            )
    for package in packages:
        if package.get("extras"):
            continue
        key = (canonicalize_name(package["name"]), package["version"])
        from_index = not {"git", "path", "url"} & package.keys()
        yield Distribution(
            name=key[0],
            version=key[1],
            hashes=tuple(file["hash"] for file in package.get("files", [])) if from_index else (),
            dependencies=tuple(map(Requirement, package.get("dependencies", []))),
            extras=extras.get(key, {}),
            markers=(package["marker"],) if "marker" in package else (),
        )


def holds(marker: Marker | None, extra: str = "") -> bool:
    """Whether a requirement's marker holds in an image."""
    return marker is None or any(
        marker.evaluate({**_LINUX, "extra": extra, "platform_machine": machine}) for machine in MACHINES
    )


_LINUX = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "python_full_version": platform.python_version(),
    "python_version": ".".join(platform.python_version_tuple()[:2]),
    "sys_platform": "linux",
}
"""Marker environment of an image, with the Python version of the project's environment."""
