"""Is this machine able: tools, libraries, ports, disk, memory and clock, each with how to mend it. `network` looks outside.

Works with the base installation alone, since a missing extra is one of the things it reports.
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

from platform_lib.findings import Finding, note, ok, problem
from platform_lib.names import Port
from platform_lib.settings import Project

OLDEST_PYTHON = (3, 11)
GIGABYTE = 1e9
# One import name per distribution of the extra `training`; only looked up, since importing them takes half a minute.
TRAINING_MODULES = (
    "dvc", "fastapi", "filelock", "hydra", "mlflow", "numpy", "optuna", "pandas", "pandera",
    "prefect", "psutil", "pyarrow", "sklearn", "skops", "uvicorn",
)  # fmt: skip
USUAL_PORTS = {"model server": Port.MODEL_SERVER, "MLflow": Port.MLFLOW, "Prefect": Port.PREFECT}


def examine_machine(project: Project | None) -> list[Finding]:
    """Look at everything on this machine; outside a project (None) at what does not need one."""
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
    ]
    return [finding for check in checks for finding in check()]


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Iterable[Finding]:
    """The interpreter that runs this."""
    text = f"{'.'.join(map(str, version))} ({sys.executable})"
    if version[:2] < OLDEST_PYTHON:
        yield problem("Python", text, "Install Python 3.11 or newer and make the environment anew with `make setup`.")
    else:
        yield ok("Python", text)


def check_git() -> Iterable[Finding]:
    """Git, and the identity without which no commit can be made."""
    if (version := _output("git", "--version")) is None:
        yield problem("git", "not found", "Install git: every model names the commit that it came from.")
        return
    yield ok("git", version.removeprefix("git version "))
    # `git var` says what a commit would say, whether it comes from the environment, the repository or the user's settings.
    identity = _output("git", "-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT")
    if identity is None:
        remedy = 'Run `git config --global user.name "Your Name"` and `git config --global user.email you@example.org`.'
        yield problem("git identity", "no name or e-mail address for commits", remedy)
    else:
        yield ok("git identity", identity.rsplit(">", 1)[0] + ">")


def check_make() -> Iterable[Finding]:
    """Make, which only shortens commands."""
    if shutil.which("make"):
        yield ok("make", shutil.which("make") or "")
    else:
        remedy = "Nothing needs it: each target is an alias of a command that the README gives."
        yield note("make", "not found", remedy)


def check_package_manager(project: Project | None) -> Iterable[Finding]:
    """The environment manager that the project chose; outside a project either of the two."""
    wanted = _package_manager(project)
    found = {name: version for name in ("uv", "pdm") if (version := _output(name, "--version"))}
    if wanted is None:
        text = ", ".join(found.values()) or "neither uv nor pdm found"
        remedy = "" if found else "Install one of them, such as with `python -m pip install uv`."
        yield Finding(level="ok" if found else "note", area="uv or pdm", text=text, remedy=remedy)
    elif wanted in found:
        yield ok(wanted, found[wanted])
    else:
        remedy = f"Install it, such as with `python -m pip install {wanted}`; `make setup` needs it."
        yield problem(wanted, "not found, and this project uses it", remedy)


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
    """This library and the extra that training needs."""
    try:
        version = importlib.metadata.version("platform-lib")
        yield ok("platform-lib", version)
    except importlib.metadata.PackageNotFoundError:
        yield note("platform-lib", "used from a folder, not installed", "`make setup` installs it.")
    missing = [name for name in TRAINING_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        remedy = "Run `make setup` in the project; the project depends on platform-lib[training]."
        yield problem("extra training", f"not importable: {', '.join(missing)}", remedy)
    else:
        yield ok("extra training", "importable")


def check_ports(project: Project | None) -> Iterable[Finding]:
    """The usual ports of `mlp up` and `mlp serve`: free, or held by this project's own services."""
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
            text = f"taken by {ports.holder(port)}"
            yield note(name, text, "Stop that, or use `mlp up --auto-ports` and `mlp serve --port`.")


def check_disk(folder: Path) -> Iterable[Finding]:
    """Free space where the project lies."""
    free = shutil.disk_usage(folder).free / GIGABYTE
    text = f"{free:.1f} GB free at {folder}"
    if free < 1:
        yield problem("disk", text, "Free at least 1 GB; an environment alone takes 2 GB.")
    elif free < 5:
        yield note("disk", text, "A new environment takes 2 GB.")
    else:
        yield ok("disk", text)


def check_memory() -> Iterable[Finding]:
    """Memory for the platform's four services (1.5 GB) and a training."""
    try:
        import psutil
    except ImportError:
        yield note("memory", "skipped: psutil is missing")
        return
    memory = psutil.virtual_memory()
    text = f"{memory.available / GIGABYTE:.1f} GB available of {memory.total / GIGABYTE:.1f} GB"
    if memory.available < 2 * GIGABYTE:
        remedy = "Close what you do not need; training and serving work without `mlp up`, which takes 1.5 GB."
        yield note("memory", text, remedy)
    else:
        yield ok("memory", text)


def check_writing(folder: Path) -> Iterable[Finding]:
    """Whether files can be made where runs leave their state."""
    state = folder / ".mlp"
    target = state if state.is_dir() else folder
    try:
        with tempfile.NamedTemporaryFile(dir=target, prefix=".mlp-doctor-"):
            yield ok("writing", f"allowed in {target}")
    except OSError as err:
        remedy = "Make the folder yours to write to, or work in another one."
        yield problem("writing", f"{target}: {err.strerror or err}", remedy)


def _output(*command: str) -> str | None:
    """What a program prints, None when it is not there or fails."""
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
