"""Write the build context of the images: pinned requirements, wheels of packages that no index has, the commit."""

import importlib.metadata
import platform
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from platform_lib.errors import CheckFailed, UsageError
from platform_lib.image.ignore import IGNORE_FILES, context_files, read_patterns
from platform_lib.image.locked import Distribution, Lock, holds, read_lock
from platform_lib.image.secret_files import why_secret
from platform_lib.image.wheel import write_wheel
from platform_lib.lineage import write_source
from platform_lib.settings import LOCK_FILES, Project

CONTEXT_FOLDER = "build/image"
LIBRARY = "platform-lib"
EXTRAS = {"serve": ("serving", "tracing"), "train": ("training",)}
"""Extras of the library in each image. Both images also have the project's own requirements."""


MODEL_EXTRAS = frozenset({"catboost", "lightgbm", "xgboost"})
"""Extras of the library that both images get if the project asks for them, because its models need them."""
SYSTEM_PACKAGES = {"lightgbm": ("libgomp1",)}
"""Debian packages that a distribution needs, and that a slim image of Python lacks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildContext:
    """A written build context."""

    folder: Path
    python: str
    """Python version of the images, that of the project, such as `3.12`."""
    distributions: dict[str, int]
    """Number of distributions in each image, by target."""


def write_context(project: Project) -> BuildContext:
    """Replace `build/image/`, or remove it if anything fails, so that no image is built from half of it.

    Runs in the project's environment.

    Raises:
        UsageError: The lock file is missing or incomplete, or a distribution that no index has is compiled.
        CheckFailed: There is no commit, or a file with secrets would get into the image.
        OSError: The disk is full, or the folder is not writable.
    """
    folder = project.root / CONTEXT_FOLDER
    if folder.exists():
        shutil.rmtree(folder)
    try:
        refuse_secrets(project)
        return _write(project, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def refuse_secrets(project: Project) -> None:
    """Check that the build context contains no file with secrets: a layer of an image keeps what was copied into it.

    Raises:
        CheckFailed: It does; the message names the files.
        UsageError: The project has no ignore file, so all of its files would be copied.
    """
    ignoring = [project.root / name for name in IGNORE_FILES if (project.root / name).is_file()]
    if not ignoring:
        raise UsageError(
            f"{project.root} has no .dockerignore, so every file of the project would get into the image: restore it "
            "with `git checkout -- .dockerignore`."
        )
    found: dict[str, str] = {}
    for file in ignoring:
        for path in context_files(project.root, read_patterns(file.read_text(encoding="utf-8"))):
            if path not in found and (reason := why_secret(project.root, path)) is not None:
                found[path] = reason
    if found:
        listed = "; ".join(f"{path} ({reason})" for path, reason in list(found.items())[:5])
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        raise CheckFailed(
            f"files that look like secrets would get into the image: {listed}{more}. Nothing was written. Move them "
            f"out of the project, or exclude them with a last line in {ignoring[0].name}: `{next(iter(found))}`."
        )


def _write(project: Project, folder: Path) -> BuildContext:
    if project.lock_file is None:
        raise UsageError(
            f"{project.root} has no lock file ({' or '.join(LOCK_FILES)}): run `make setup` and commit the file."
        )
    lock = read_lock(project.lock_file)
    own, model_extras = _project_requirements(project)
    folder.mkdir(parents=True)
    counts, unpublished = {}, {LIBRARY}
    system: set[str] = set()
    for target, extras in EXTRAS.items():
        found = _closure(lock, own, (*extras, *model_extras))
        system |= {name for each in found for name in SYSTEM_PACKAGES.get(each.name, ())}
        unpublished |= {each.name for each in found if not each.hashes}
        lines = [each.line() for each in found if each.hashes]
        (folder / f"{target}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        counts[target] = len(found) + 1
    for name in sorted(unpublished):
        write_wheel(name, folder / "wheels")
    (folder / "system.txt").write_text("".join(f"{name}\n" for name in sorted(system)), encoding="utf-8")
    write_source(project, folder / "source.json")
    python = ".".join(platform.python_version_tuple()[:2])
    (folder / "python").write_text(f"{python}\n", encoding="utf-8")
    return BuildContext(folder=folder, python=python, distributions=counts)


def _closure(lock: Lock, own: list[Requirement], extras: tuple[str, ...]) -> list[Distribution]:
    wanted = []
    for requirement in map(Requirement, importlib.metadata.requires(LIBRARY) or []):
        if any(holds(requirement.marker, extra) for extra in ("", *extras)):
            requirement.marker = None
            wanted.append(requirement)
    return lock.closure([*wanted, *own], without=frozenset({LIBRARY}))


def _project_requirements(project: Project) -> tuple[list[Requirement], list[str]]:
    """Return the project's requirements without the library, and the library's extras that its models need."""
    table = tomllib.loads((project.root / "pyproject.toml").read_text(encoding="utf-8"))
    requirements = [Requirement(text) for text in table.get("project", {}).get("dependencies", [])]
    asked = {extra for each in requirements if canonicalize_name(each.name) == LIBRARY for extra in each.extras}
    others = [each for each in requirements if canonicalize_name(each.name) != LIBRARY]
    return others, sorted(asked & MODEL_EXTRAS)
