"""Compare what a model was made with to what this process has: which differences are refused, which only noted, and why.

Refused is what changes the meaning of a fitted model without an error:

- another minor version of scikit-learn: its developers promise for fitted state of the same minor version only;
- another major version of numpy, pandas or any other package that the model's types come from;
- a package that is missing.

Everything else is noted: it is the answers that decide (`parity`). `platform-lib` and skops keep reading what their older versions wrote, and refuse
what they cannot read themselves; a library's newer patch is most often the reason for a new image.
"""

import importlib.metadata
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_REQUIREMENTS = "requirements.txt"  # MLflow's, with our pins
_NOT_NEEDED = {"mlflow", "mlflow-skinny"}
"""MLflow adds itself; serving does without it."""
_PARTS_THAT_COUNT = {"scikit-learn": 2, "skops": 0, "platform-lib": 0}
"""How many parts of a version must be equal; 1 where nothing is said."""
_PIN = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==(?P<version>\d[\w.+!-]*)")


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs, each a sentence."""

    incompatible: tuple[str, ...]
    noted: tuple[str, ...]


def installed_version(name: str) -> str | None:
    """Version of an installed distribution; None where there is none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def compare_dependencies(
    folder: Path, python: str = "", installed: Callable[[str], str | None] = installed_version
) -> Differences:
    """Compare an artifact's pinned requirements with what is installed.

    Args:
        folder: The artifact's; without `requirements.txt` nothing is compared.
        python: Version of Python that it was made with; empty where it is not known.
        installed: Gives a distribution's version here.
    """
    incompatible: list[str] = []
    noted: list[str] = []
    for name, pinned in read_pins(folder).items():
        here = installed(name)
        if here == pinned or name in _NOT_NEEDED:
            continue
        if here is None:
            incompatible.append(f"it needs {name} {pinned}, which is not installed here")
            continue
        sentence = f"it was made with {name} {pinned}, and here is {here}"
        parts = _PARTS_THAT_COUNT.get(name, 1)
        (noted if _release(here)[:parts] == _release(pinned)[:parts] else incompatible).append(sentence)
    here = platform.python_version()
    if python and _release(python)[:2] != _release(here)[:2]:
        noted.append(f"it was made with Python {python}, and here is {here}")
    return Differences(tuple(incompatible), tuple(noted))


def read_pins(folder: Path) -> Mapping[str, str]:
    """Version by distribution of the artifact's exact requirements, names in their usual form; others (such as a commit) cannot be compared."""
    try:
        lines = (folder / _REQUIREMENTS).read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return {}
    matches = [match for line in lines if (match := _PIN.match(line.strip()))]
    return {re.sub(r"[-_.]+", "-", match["name"]).lower(): match["version"] for match in matches}


def _release(version: str) -> tuple[int, ...]:
    """`1.9.0rc1` → (1, 9, 0)."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match.group().split("."))) if match else ()
