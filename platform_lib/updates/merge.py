"""Merge a file in which the user only added lines beside lines that the template changed.

git calls this a conflict, although nothing is in doubt: the result has the template's new lines and the user's lines.
"""

import tomllib
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import PurePosixPath

import yaml

_OURS, _BASE, _THEIRS, _END = "<<<<<<< before updating", "||||||| last update", "=======", ">>>>>>> after updating"


def merge_conflicts(name: str, text: str) -> str | None:
    """Resolve the conflicts of a file, as Copier writes them with the lines of the last update.

    Args:
        name: Path of the file; TOML and YAML must still parse afterwards.
        text: The file with its conflict markers.

    Returns:
        The merged file, or None where a conflict needs a decision.
    """
    merged: list[str] = []
    for part in _parts(text.splitlines(keepends=True)):
        lines = part if isinstance(part, list) else add_lines(*part)
        if lines is None:
            return None
        merged += lines
    result = "".join(merged)
    return result if _parses(name, result) else None


def add_lines(ours: list[str], base: list[str], theirs: list[str]) -> list[str] | None:
    """Add the lines that the user added to the template's new lines.

    Args:
        ours: The user's lines.
        base: The template's lines at the last update.
        theirs: The template's new lines.

    Returns:
        The merged lines, or None if the user changed or deleted a line of the template.
    """
    user = SequenceMatcher(None, base, ours, autojunk=False).get_opcodes()
    if any(kind in ("replace", "delete") for kind, *_ in user):
        return None
    template = SequenceMatcher(None, base, theirs, autojunk=False).get_opcodes()
    new = {line.strip() for kind, _, _, start, end in template if kind != "equal" for line in theirs[start:end]}
    merged = list(theirs)
    for kind, position, _, start, end in reversed(user):
        added = ours[start:end]
        if kind == "insert" and not all(line.strip() in new for line in added):
            place = _place(position, template)
            merged[place:place] = added
    return merged


def _place(position: int, template: Sequence[tuple[str, int, int, int, int]]) -> int:
    """Translate a position in the old lines to one in the new lines: after what stood, or now stands, before it."""
    place = 0
    for kind, start, end, new_start, new_end in template:
        if end <= position:
            place = new_end
        elif start < position:
            place = new_start + position - start if kind == "equal" else new_end
    return place


def _parts(lines: list[str]) -> Iterator[list[str] | tuple[list[str], list[str], list[str]]]:
    """Split a file into its plain parts and its conflicts: the user's, the old and the new lines."""
    plain: list[str] = []
    rest = iter(lines)
    for line in rest:
        if line.rstrip() != _OURS:
            plain.append(line)
            continue
        yield plain
        plain = []
        sides: dict[str, list[str]] = {_OURS: [], _BASE: [], _THEIRS: []}
        side = _OURS
        for inner in rest:
            if inner.rstrip() == _END:
                break
            if inner.rstrip() in sides:
                side = inner.rstrip()
            else:
                sides[side].append(inner)
        yield sides[_OURS], sides[_BASE], sides[_THEIRS]
    yield plain


def _parses(name: str, text: str) -> bool:
    suffix = PurePosixPath(name).suffix
    try:
        if suffix == ".toml":
            tomllib.loads(text)
        elif suffix in (".yml", ".yaml"):
            yaml.safe_load(text)
    except (tomllib.TOMLDecodeError, yaml.YAMLError):
        return False
    return True
