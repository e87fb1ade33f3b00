"""One environment per server, created by uv from pinned requirements.

It is kept in the user's cache folder, under a hash of the requirements. Files are copied, not linked: otherwise a
server would share its proportional memory with other processes that run the same files, such as this benchmark.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.serving.peers.peer import Peer

REQUIREMENTS = Path(__file__).parent / "requirements"
REPOSITORY = Path(__file__).resolve().parents[3]
OURS = "ours"
SHARED = ("joblib", "numpy", "pandas", "scikit-learn", "scipy")
"""Packages that a fitted pipeline consists of: every server gets the same versions if it allows them."""


class NotInstalled(Exception):
    """An environment could not be created; the message says why."""


def programs(name: str) -> Path:
    """Return the folder with the executables of a server's environment; create the environment if necessary.

    Raises:
        NotInstalled: uv failed; the message is its last line.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    library = ["--editable", str(REPOSITORY)] if name == OURS else []
    wanted = "\n".join([platform.python_version(), *library, requirements.read_text(encoding="utf-8")])
    folder = _cache() / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    done = folder / ".complete"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _uv("venv", "--python", sys.executable, str(folder))
        into = ["--python", str(folder / "bin" / "python")]
        _uv(
            "pip",
            "install",
            *into,
            "--link-mode",
            "copy",
            "--compile-bytecode",
            "--no-deps",
            "-r",
            str(requirements),
            *library,
        )
        done.touch()
    return folder / "bin"


def versions(name: str, folder: Path) -> dict[str, str]:
    """Return the versions of Python, the shared packages and a server's own distribution in its environment."""
    names = [*SHARED, *([name] if name else [])]
    program = (
        "import sys, json, importlib.metadata as m; "
        "print(json.dumps({n: m.version(n) for n in sys.argv[1:]} | {'python': sys.version.split()[0]}))"
    )
    told = subprocess.run([str(folder / "python"), "-c", program, *names], check=True, capture_output=True, text=True)
    return dict(json.loads(told.stdout))


def lock(peers: list[Peer]) -> None:
    """Pin what each server's users would install today, with the shared packages at this environment's versions."""
    shared = [f"{name}=={importlib.metadata.version(name)}" for name in SHARED]
    for peer in peers:
        _compile(peer.name, "-", "\n".join([*shared, *peer.packages]))
    _compile(OURS, "pyproject.toml", "", "--extra", "serving", "--constraints", "requirements/dev.txt")


def _compile(name: str, source: str, given: str, *options: str) -> None:
    command = [
        "pip",
        "compile",
        "--quiet",
        "--upgrade",
        "--python-version",
        "3.11",
        "--no-annotate",
        "--no-header",
        *options,
        source,
    ]
    text = _uv(*command, given=given)
    (REQUIREMENTS / f"{name}.txt").write_text(text, encoding="utf-8")


def _uv(*arguments: str, given: str = "") -> str:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        raise NotInstalled("uv is not on PATH; `make setup` installs it")
    done = subprocess.run([uv, *arguments], input=given, capture_output=True, text=True, cwd=REPOSITORY)
    if done.returncode:
        raise NotInstalled(
            done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"uv ended with {done.returncode}"
        )
    return done.stdout


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlp-benchmarks"
