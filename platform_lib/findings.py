"""The result of one check: what was examined, whether it is in order, and the remedy."""

from collections.abc import Iterable
from typing import Literal

import msgspec

Level = Literal["ok", "note", "problem"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found. `mlp check`, `mlp doctor` and `mlp platform check` print a list of these."""

    level: Level
    """A note needs no action, or says what could not be checked; a problem makes the command exit with code 1."""
    area: str
    """What was examined, such as `git`, `port 5000` or `tls`."""
    text: str
    """What was found."""
    remedy: str = ""
    """What to do about it; empty where nothing needs to be done."""


def ok(area: str, text: str) -> Finding:
    """Report that something is in order."""
    return Finding(level="ok", area=area, text=text)


def note(area: str, text: str, remedy: str = "") -> Finding:
    """Report something worth knowing, or that could not be checked."""
    return Finding(level="note", area=area, text=text, remedy=remedy)


def problem(area: str, text: str, remedy: str = "") -> Finding:
    """Report something that must be fixed."""
    return Finding(level="problem", area=area, text=text, remedy=remedy)


def problem_count(findings: Iterable[Finding]) -> int:
    """Count the problems."""
    return sum(finding.level == "problem" for finding in findings)
