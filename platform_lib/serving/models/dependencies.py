"""Compare the libraries a model was trained with to those installed here.

A version is refused for a difference that changes the meaning of a fitted model without raising an error:

- another minor version of scikit-learn, whose developers support fitted state within one minor version only;
- another major version of numpy, pandas or any other package that the model's types come from;
- a missing package.

Every other difference is only noted; there the comparison of predictions in `validation` decides. `platform-lib` and
skops read what their older versions wrote and raise on what they cannot read. A newer patch release is the most common
reason to build a new image, so it must not block a model.
"""

import importlib.metadata
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_REQUIREMENTS = "requirements.txt"  # MLflow's file, with the versions that we pin
_NOT_NEEDED = {"mlflow", "mlflow-skinny"}
"""MLflow lists itself; serving runs without it."""
_SIGNIFICANT_PARTS = {"scikit-learn": 2, "skops": 0, "platform-lib": 0}
"""How many leading parts of a version must be equal; 1 for every package not listed."""
_PIN = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==(?P<version>\d[\w.+!-]*)")


@dataclass(frozen=True, slots=True)
class Differences:
    """Differences between training and this process, one sentence each."""

    incompatible: tuple[str, ...]
    """Reasons to refuse the version."""
    noted: tuple[str, ...]
    """Differences that do not prevent serving."""


def installed_version(name: str) -> str | None:
    """Return the version of an installed distribution, or None if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def compare_dependencies(
    folder: Path, python: str = "", installed: Callable[[str], str | None] = installed_version
) -> Differences:
    """Compare an artifact's pinned requirements with the installed distributions.

    Args:
        folder: Folder of the artifact. Without `requirements.txt`, nothing is compared.
        python: Python version used in training; empty if unknown.
        installed: Returns the version of a distribution installed here, or None.
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
        sentence = f"it was trained with {name} {pinned}, but {here} is installed here"
        parts = _SIGNIFICANT_PARTS.get(name, 1)
        (noted if _release(here)[:parts] == _release(pinned)[:parts] else incompatible).append(sentence)
    here = platform.python_version()
    if python and _release(python)[:2] != _release(here)[:2]:
        noted.append(f"it was trained with Python {python}, but this is Python {here}")
    return Differences(tuple(incompatible), tuple(noted))


def read_pins(folder: Path) -> Mapping[str, str]:
    """Return the pinned version of each distribution in an artifact's requirements.

    Names are normalized (`scikit-learn`, not `Scikit_Learn`). Requirements without `==`, such as a commit, are left out
    because they cannot be compared.
    """
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
