"""What a check saw, and how to mend it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table."""

    level: Literal["ok", "note", "problem"]
    area: str
    """What was looked at: tls, login, services, network, alerts, versions, teams."""
    seen: str
    mend: str = ""


def ok(area: str, seen: str) -> Finding:
    """As it should be."""
    return Finding("ok", area, seen)


def note(area: str, seen: str, mend: str = "") -> Finding:
    """Worth knowing, or could not be looked at."""
    return Finding("note", area, seen, mend)


def problem(area: str, seen: str, mend: str) -> Finding:
    """Wrong."""
    return Finding("problem", area, seen, mend)
