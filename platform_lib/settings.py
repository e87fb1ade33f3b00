"""The project and its servers, read once from pyproject.toml and the environment."""

import json
import os
import shutil
import socket
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from platform_lib.errors import NotFound, UsageError
from platform_lib.names import Env
from platform_lib.process_identity import still_runs

LOCK_FILES = ("uv.lock", "pdm.lock")
SIGNATURE_MODES = ("off", "warn", "require")


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A generated repository: its folder and `[tool.mlp]` of its pyproject.toml."""

    root: Path
    """Absolute folder that holds pyproject.toml."""
    name: str
    """Name of the registered model, kebab-case."""
    package: str
    """Import name of the user's package under `src/`."""
    task: str = "classification"
    """`classification` or `regression`, as chosen when the project was generated."""
    trusted_types: tuple[str, ...] = ()
    """Types that model files may contain, in addition to the library's list and the package's own types."""
    signatures: str | None = None
    """Whether the signatures of versions are verified: `off`, `warn` or `require`; None is the default."""

    @property
    def conf_dir(self) -> Path:
        """Folder of the configuration, with a subfolder for each Hydra group."""
        return self.root / "conf"

    @property
    def data_dir(self) -> Path:
        """Folder of the imported tables."""
        return self.root / "data"

    @property
    def state_dir(self) -> Path:
        """Folder for the state of runs, ignored by git. The code that writes to it creates it."""
        return self.root / ".mlp"

    @property
    def database(self) -> Path:
        """SQLite file of the local MLflow store."""
        return self.state_dir / "mlflow.db"

    @property
    def signers_file(self) -> Path:
        """Public keys that are trusted to sign versions; need not exist."""
        return self.root / "deploy" / "signing.pub"

    @property
    def lock_file(self) -> Path | None:
        """The dependency lock file; None before `make setup`."""
        return next((self.root / name for name in LOCK_FILES if (self.root / name).is_file()), None)

    def tool(self, name: str) -> str | None:
        """Path of a package manager: on PATH, beside this Python, or in `.tools`, where `make setup` installs it."""
        folders = (Path(sys.executable).parent, *(self.root / ".tools" / part for part in ("bin", "Scripts")))
        return shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, folders)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Values of environment variables; None if unset. The functions below supply the local defaults."""

    tracking_uri: str | None = None
    prefect_api_url: str | None = None
    prefect_auth: str | None = field(default=None, repr=False)
    """`user:password` for `prefect_api_url`."""
    debug: bool = False
    sign: str | None = None
    """How to sign what is registered: `key` or `off`."""
    signing_key: str | None = None
    signatures: str | None = None
    """Whether signatures are verified: `off`, `warn` or `require`."""
    signers: str | None = None
    """File of the trusted public keys."""


def load_settings(environ: dict[str, str] | None = None) -> Settings:
    """Read the environment, once per command."""
    env = os.environ if environ is None else environ
    return Settings(
        tracking_uri=env.get("MLFLOW_TRACKING_URI") or None,
        prefect_api_url=env.get("PREFECT_API_URL") or None,
        prefect_auth=env.get("PREFECT_API_AUTH_STRING") or None,
        debug=env.get(Env.DEBUG, "") not in ("", "0"),
        sign=env.get(Env.SIGN) or None,
        signing_key=env.get(Env.SIGNING_KEY) or None,
        signatures=env.get(Env.SIGNATURES) or None,
        signers=env.get(Env.SIGNERS) or None,
    )


def find_project(start: Path | None = None) -> Project:
    """Find the generated repository that contains `start` (default: the working directory).

    Raises:
        NotFound: Neither this folder nor a parent has a pyproject.toml with a `[tool.mlp]` table.
        UsageError: pyproject.toml or its `[tool.mlp]` table is invalid.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            try:
                table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("mlp")
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
                raise UsageError(
                    f"{file} is not valid TOML: {err}. Fix it, or restore it with `git checkout -- pyproject.toml`."
                ) from err
            if table is not None:
                return _project(folder, table)
    raise NotFound(
        f"{here} is not inside a project: no pyproject.toml with a [tool.mlp] table here or in a parent folder. "
        "Change to a generated project, or create one with `copier copy`."
    )


def _project(root: Path, table: dict[str, Any]) -> Project:
    name = table.get("model")
    trusted = table.get("trusted_types", [])
    if not isinstance(name, str) or not name:
        raise UsageError(f'{root / "pyproject.toml"}: [tool.mlp] needs `model = "name-of-the-model"`.')
    if not isinstance(trusted, list) or not all(isinstance(item, str) for item in trusted):
        raise UsageError(
            f"{root / 'pyproject.toml'}: [tool.mlp] trusted_types is {trusted!r}, expected a list of type names."
        )
    task = table.get("task", "classification")
    if task not in ("classification", "regression"):
        raise UsageError(
            f"{root / 'pyproject.toml'}: [tool.mlp] task is {task!r}, expected classification or regression."
        )
    signatures = table.get("signatures")
    if signatures is not None and signatures not in SIGNATURE_MODES:
        raise UsageError(
            f"{root / 'pyproject.toml'}: [tool.mlp] signatures is {signatures!r}, expected off, warn or require."
        )
    package = str(table.get("package", name.replace("-", "_")))
    return Project(
        root=root, name=name, package=package, task=task, trusted_types=tuple(trusted), signatures=signatures
    )


def tracking_uri(project: Project, settings: Settings) -> str:
    """Return the MLflow tracking URI: the environment's, else the running local platform's, else the local store."""
    return settings.tracking_uri or local_service_url(project, "mlflow") or f"sqlite:///{project.database.as_posix()}"


def prefect_api_url(project: Project, settings: Settings) -> str | None:
    """Return the Prefect API to report to; None runs flows in-process."""
    local = local_service_url(project, "prefect")
    return settings.prefect_api_url or (f"{local}/api" if local else None)


def is_local_registry(project: Project, uri: str) -> bool:
    """Whether `uri` is this project's own store, directly or through `mlp up`; any other registry counts as shared."""
    return uri.startswith("sqlite:") or uri == local_service_url(project, "mlflow")


def local_service_url(project: Project, service: str) -> str | None:
    """Return the address of a service of this project's `mlp up` if it accepts connections now, else None.

    `mlp up` writes the file `.mlp/platform.json`:
    `{"root": str, "services": {name: {"pid": int, "create_time": float, "command": [str, ...], "url": str, ...}}}`.
    """
    file = project.state_dir / "platform.json"
    try:
        platform = json.loads(file.read_text(encoding="utf-8"))
        record = platform["services"][service]
        url = record["url"]
        # All projects share the default ports: after a crash, or with a copied file, another project may listen there.
        if Path(platform["root"]) != project.root or not still_runs(
            record["pid"], record["create_time"], command=record["command"]
        ):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 80), timeout=0.5):
            return str(url)
    except OSError:
        return None
