"""A user's shell, for commands in a generated project."""

import os
import subprocess
import sys
from pathlib import Path


def user_environment() -> dict[str, str]:
    """A user's shell: the package managers on PATH and no environment of another project."""
    ours = Path(sys.executable).parent
    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH", "UV", "CI")}
    return env | {"PATH": f"{ours}{os.pathsep}{env['PATH']}"}


def shell(folder: Path, *words: str, env: dict[str, str], expect: int = 0) -> str:
    done = subprocess.run(
        words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900
    )
    assert done.returncode == expect, f"{' '.join(words)} exited {done.returncode}\n{done.stdout[-6000:]}"
    return done.stdout
