"""The files that a build sends to the builder: those that `.dockerignore` does not exclude, by Docker's rules.

Source: https://docs.docker.com/build/concepts/context/#dockerignore-files and github.com/moby/patternmatcher.
"""

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IGNORE_FILES = (".dockerignore", ".containerignore", "Dockerfile.dockerignore")
"""Docker reads the first or the last, Podman and Buildah prefer the second."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of an ignore file."""

    text: str
    """Cleaned, without the exclamation mark."""
    includes: bool
    """Whether the line starts with `!` and so includes again what lines above it exclude."""
    regex: re.Pattern[str]


def read_patterns(text: str) -> list[Pattern]:
    """Parse an ignore file. Blank lines and comments are left out."""
    patterns = []
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        includes = line.strip().startswith("!")
        cleaned = posixpath.normpath(line.strip().removeprefix("!").strip()).lstrip("/")
        if cleaned != ".":
            patterns.append(Pattern(cleaned, includes, _compiled(cleaned)))
    return patterns


def is_excluded(path: str, patterns: list[Pattern]) -> bool:
    """Whether a path, with slashes and relative to the context, is excluded. The last line that matches decides, and a
    line that matches a folder matches everything in it."""
    parts = path.split("/")
    names = ["/".join(parts[: length + 1]) for length in range(len(parts))]
    excluded = False
    for pattern in patterns:
        if excluded == pattern.includes and any(pattern.regex.fullmatch(name) for name in names):
            excluded = not pattern.includes
    return excluded


def context_files(root: Path, patterns: list[Pattern]) -> Iterator[str]:
    """List the files and links below `root` that are not excluded, relative and with slashes."""
    for folder, folders, files in os.walk(root):
        inside = Path(folder).relative_to(root).as_posix()
        prefix = "" if inside == "." else f"{inside}/"
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted([*files, *links]):
            if not is_excluded(prefix + name, patterns):
                yield prefix + name
        # As Docker does: an excluded folder is searched only if a later line names something in it.
        folders[:] = sorted(
            name
            for name in folders
            if not is_excluded(prefix + name, patterns)
            or any(each.includes and f"{each.text}/".startswith(f"{prefix}{name}/") for each in patterns)
        )


def _compiled(pattern: str) -> re.Pattern[str]:
    """Translate Go's `filepath.Match` with `**` to a regular expression."""
    made, position = "", 0
    while position < len(pattern):
        sign = pattern[position]
        position += 1
        if sign == "*" and pattern[position : position + 1] == "*":
            position += 1
            if pattern[position : position + 1] == "/":
                position += 1
                made += "(?:.*/)?"
            else:
                made += ".*"
        elif sign == "*":
            made += "[^/]*"
        elif sign == "?":
            made += "[^/]"
        elif sign == "[" and (end := pattern.find("]", position + 1)) > 0:
            inside = pattern[position:end]
            made += "[" + inside.replace("\\", "\\\\").replace("[", "\\[") + "]"
            position = end + 1
        elif sign == "\\" and position < len(pattern):
            made += re.escape(pattern[position])
            position += 1
        else:
            made += re.escape(sign)
    return re.compile(made, re.DOTALL)
