"""Checks of this machine: tools, libraries, ports, disk, memory, permissions and the local registry.

Works with the base installation, because a missing extra is one of the things that it reports.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from platform_lib.findings import Finding, Level, note, ok, problem
from platform_lib.names import Port
from platform_lib.settings import Project

OLDEST_PYTHON = (3, 11)
GIGABYTE = 1e9
# One import name per distribution of the extra `training`; only looked up, since importing them takes half a minute.
TRAINING_MODULES = (
    "dvc", "fastapi", "hydra", "mlflow", "numpy", "optuna", "pandas", "pandera",
    "prefect", "psutil", "pyarrow", "sklearn", "skops", "uvicorn",
)  # fmt: skip
USUAL_PORTS = {"model server": Port.MODEL_SERVER, "MLflow": Port.MLFLOW, "Prefect": Port.PREFECT}


def examine_machine(project: Project | None) -> list[Finding]:
    """Run all checks of this machine. Outside a project (None), skip those that need one."""
    folder = project.root if project else Path.cwd()
    checks: list[Callable[[], Iterable[Finding]]] = [
        check_python,
        check_git,
        check_make,
        lambda: check_package_manager(project),
        check_library,
        lambda: check_ports(project),
        lambda: check_disk(folder),
        check_memory,
        lambda: check_writing(folder),
        lambda: check_registry(project),
    ]
    return [finding for check in checks for finding in check()]


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Iterable[Finding]:
    """Check the version of the running interpreter."""
    text = f"{'.'.join(map(str, version))} ({sys.executable})"
    if version[:2] < OLDEST_PYTHON:
        yield problem("Python", text, "Install Python 3.11 or newer, then recreate the environment with `make setup`.")
    else:
        yield ok("Python", text)


def check_git() -> Iterable[Finding]:
    """Check for git and for a name and e-mail address for commits."""
    if (version := _output("git", "--version")) is None:
        yield problem("git", "not found", "Install git: every model records its commit.")
        return
    yield ok("git", version.removeprefix("git version "))
    # `git var` returns what a commit would use, from the environment, the repository or the user's settings.
    identity = _output("git", "-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT")
    if identity is None:
        remedy = 'Run `git config --global user.name "Your Name"` and `git config --global user.email you@example.org`.'
        yield problem("git identity", "no name or e-mail address for commits", remedy)
    else:
        yield ok("git identity", identity.rsplit(">", 1)[0] + ">")


def check_make() -> Iterable[Finding]:
    """Check for make, which is optional."""
    if shutil.which("make"):
        yield ok("make", shutil.which("make") or "")
    else:
        remedy = "Optional: each target is a short form of a command in the README."
        yield note("make", "not found", remedy)


def check_package_manager(project: Project | None) -> Iterable[Finding]:
    """Check for the project's package manager; outside a project, for uv or pdm."""
    wanted = _package_manager(project)
    tools = {name: project.tool(name) if project is not None else name for name in ("uv", "pdm")}
    found = {name: version for name, tool in tools.items() if tool and (version := _output(tool, "--version"))}
    if wanted is None:
        text = ", ".join(found.values()) or "neither uv nor pdm found"
        remedy = "" if found else "Install one of them, for example with `python -m pip install uv`."
        yield Finding(level="ok" if found else "note", area="uv or pdm", text=text, remedy=remedy)
    elif wanted in found:
        yield ok(wanted, found[wanted])
    else:
        level: Level = "note" if shutil.which("make") else "problem"
        remedy = f"Run `make setup`, which installs it into .tools, or install {wanted} yourself."
        yield Finding(level=level, area=wanted, text="not found, and this project uses it", remedy=remedy)


def _package_manager(project: Project | None) -> str | None:
    if project is None:
        return None
    if project.lock_file is not None:
        return project.lock_file.stem
    try:
        answers = (project.root / ".copier-answers.yml").read_text(encoding="utf-8")
    except OSError:
        return None
    chosen = [line.split(":", 1)[1].strip() for line in answers.splitlines() if line.startswith("package_manager:")]
    return chosen[0] if chosen and chosen[0] in ("uv", "pdm") else None


def check_library() -> Iterable[Finding]:
    """Check this library and the packages of its extra `training`."""
    try:
        version = importlib.metadata.version("platform-lib")
        yield ok("platform-lib", version)
    except importlib.metadata.PackageNotFoundError:
        yield note("platform-lib", "imported from a folder, not installed", "`make setup` installs it.")
    missing = [name for name in TRAINING_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        remedy = "Run `make setup` in the project; the project depends on platform-lib[training]."
        yield problem("extra training", f"not importable: {', '.join(missing)}", remedy)
    else:
        yield ok("extra training", "importable")


def check_ports(project: Project | None) -> Iterable[Finding]:
    """Check that the default ports of `mlp up` and `mlp serve` are free or used by this project."""
    try:
        from platform_lib.local_platform import ports, processes
        from platform_lib.local_platform.state import PlatformState
    except ImportError:
        yield note("ports", "skipped: psutil is missing")
        return
    records = PlatformState(project.root).load() if project else {}
    ours = {record.port: name for name, record in records.items() if processes.find(record)}
    for title, port in USUAL_PORTS.items():
        name = f"port {port}"
        if port in ours:
            yield ok(name, f"used by this project's platform ({ours[port]})")
        elif ports.is_free(port):
            yield ok(name, f"free ({title})")
        else:
            text = f"in use by {ports.holder(port)}"
            yield note(name, text, "Stop that program, or use `mlp up --auto-ports` and `mlp serve --port`.")


def check_disk(folder: Path) -> Iterable[Finding]:
    """Check the free space on the project's disk."""
    free = shutil.disk_usage(folder).free / GIGABYTE
    text = f"{free:.1f} GB free at {folder}"
    if free < 1:
        yield problem("disk", text, "Free at least 1 GB; a new environment takes 2 GB.")
    elif free < 5:
        yield note("disk", text, "A new environment takes 2 GB.")
    else:
        yield ok("disk", text)


def check_memory() -> Iterable[Finding]:
    """Check the memory for the platform's four services (1.5 GB) and a training."""
    try:
        import psutil
    except ImportError:
        yield note("memory", "skipped: psutil is missing")
        return
    memory = psutil.virtual_memory()
    text = f"{memory.available / GIGABYTE:.1f} GB available of {memory.total / GIGABYTE:.1f} GB"
    if memory.available < 2 * GIGABYTE:
        remedy = "Close other programs. Training and serving also work without `mlp up`, which takes 1.5 GB."
        yield note("memory", text, remedy)
    else:
        yield ok("memory", text)


def check_writing(folder: Path) -> Iterable[Finding]:
    """Check that files can be created where runs keep their state."""
    state = folder / ".mlp"
    target = state if state.is_dir() else folder
    try:
        with tempfile.NamedTemporaryFile(dir=target, prefix=".mlp-doctor-"):
            yield ok("writing", f"allowed in {target}")
    except OSError as err:
        remedy = "Make the folder writable, or use another one."
        yield problem("writing", f"{target}: {err.strerror or err}", remedy)


def check_registry(project: Project | None) -> Iterable[Finding]:
    """Check the project's local registry."""
    if project is not None:
        from platform_lib.registry.store_check import examine_store

        yield from examine_store(project.database)


def _output(*command: str) -> str | None:
    """Return what a program prints; None if it is missing or fails."""
    program = shutil.which(command[0]) or _beside_python(command[0])
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _beside_python(name: str) -> str | None:
    return shutil.which(name, path=os.fspath(Path(sys.executable).parent))
