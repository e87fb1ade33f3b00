"""Find the programs that are not Python packages; skip or fail where one is missing.

`make engines` installs them into ~/.cache/mlp-engines; programs on PATH take precedence.
"""

import os
import shutil
from pathlib import Path

import pytest

FOLDER = Path.home() / ".cache" / "mlp-engines" / "bin"


def find_engine(name: str) -> Path | None:
    """The program's path, or None."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), str(FOLDER)]))
    return Path(found) if found else None


def need_engine(name: str, made_by: str = "make engines") -> Path:
    """The program's path; skips with its name, or fails where CI says that every engine must be present."""
    found = find_engine(name)
    if found is None:
        (pytest.fail if os.environ.get("REQUIRE_ENGINES") else pytest.skip)(
            f"{name} is not on this machine ({made_by})"
        )
    return found
