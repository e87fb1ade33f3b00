"""The origin of a model: code, data, configuration and dependencies."""

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platform_lib import git
from platform_lib.data.contract import DataContract
from platform_lib.data.logged_rows import logged_rows
from platform_lib.errors import CheckFailed
from platform_lib.names import VersionTag
from platform_lib.settings import LOCK_FILES, Project

DIRTY_FILES_TAG = "mlp.dirty_files"
"""Run tag: JSON list of the files that differed from the commit."""
_NAMED_FILES = 20
SOURCE_FILE = ".mlp-source.json"
"""File in an image, which has no git repository: the commit that it was built from."""

# Untracked files count only where they can change a training; a predicted table in the root cannot.
_UNTRACKED_THAT_COUNT = ("src/", "conf/", "data/", "pyproject.toml", *LOCK_FILES)
# Ignored even if a project's .gitignore no longer lists them.
_LEFT_BEHIND = (
    ".mlp",
    ".dvc/cache",
    ".dvc/tmp",
    ".venv",
    "__pycache__",
    ".pytest_cache",
    ".ruff_cache",
    ".mypy_cache",
    ".ipynb_checkpoints",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """The origin of one version. Hashes are hexadecimal; an empty string means unknown."""

    git_commit: str
    dirty: bool
    """Whether files that can change a training differed from the commit."""
    dirty_files: tuple[str, ...] = ()
    data_hash: str
    """MD5 of the table's content, as DVC computes it."""
    config_hash: str
    """SHA-256 of the resolved configuration."""
    lock_hash: str
    """SHA-256 of uv.lock or pdm.lock."""
    library: str
    """`platform-lib` with its version, and its commit if it was installed from git."""
    python: str
    flow_run: str = ""
    """Id of the Prefect flow run; empty if the training ran in-process."""
    logged_rows: str = ""
    """How many rows of the table came from the request log, and from which files; empty if none did."""

    def tags(self) -> dict[str, str]:
        """Convert to tags of a model version; unknown values get no tag."""
        tags = {
            VersionTag.GIT_COMMIT: self.git_commit,
            VersionTag.DIRTY: "true" if self.dirty else "false",
            VersionTag.DATA_HASH: self.data_hash,
            VersionTag.CONFIG_HASH: self.config_hash,
            VersionTag.LOCK_HASH: self.lock_hash,
            VersionTag.LIBRARY: self.library,
            VersionTag.PYTHON: self.python,
            VersionTag.FLOW_RUN: self.flow_run,
            VersionTag.LOGGED_ROWS: self.logged_rows,
        }
        return {name: value for name, value in tags.items() if value}


def collect(project: Project, contract: DataContract, config_yaml: str, flow_run: str = "") -> Lineage:
    """Collect the origin of a training that starts now.

    Args:
        project: The project to train in.
        contract: Data contract of the table.
        config_yaml: The resolved configuration.
        flow_run: Id of the Prefect flow run; empty if there is none.
    Raises:
        CheckFailed: There is no commit, no data hash or no lock file, so the version could not be reproduced.
    """
    from platform_lib.data.dvc import data_hash

    commit, changed = source(project)
    if project.lock_file is None:
        raise CheckFailed(
            f"{project.root} has no lock file ({' or '.join(LOCK_FILES)}). "
            "Run `make setup`, `uv lock` or `pdm lock`, and commit the file."
        )
    hashed = data_hash(project, contract)
    if not hashed:
        raise CheckFailed(
            f"the table {contract.path} has no hash, so the model could not be traced to its data. "
            "Import the table with `mlp data import`."
        )
    return Lineage(
        git_commit=commit,
        dirty=bool(changed),
        dirty_files=changed,
        data_hash=hashed,
        config_hash=text_sha256(config_yaml),
        lock_hash=hashlib.sha256(project.lock_file.read_bytes()).hexdigest(),
        library=installed_library(),
        python=platform.python_version(),
        flow_run=flow_run,
        logged_rows=str(logged_rows(project.root / contract.path)),
    )


def source(project: Project) -> tuple[str, tuple[str, ...]]:
    """Return the commit of the project's code and the files that differ from it; in an image, those of the build.

    Raises:
        CheckFailed: There is no commit.
    """
    commit = head_commit(project.root)
    if commit is not None:
        return commit, tuple(changed_files(project.root))
    try:
        kept = json.loads((project.root / SOURCE_FILE).read_text(encoding="utf-8"))
        return str(kept["git_commit"]), tuple(map(str, kept["dirty_files"]))
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise CheckFailed(
            f"{project.root} has no git commit, so the model could not be traced to its code. "
            "Run `make setup`, or run `git init` and commit the files."
        ) from err


def write_source(project: Project, target: Path) -> None:
    """Write the result of `source` to a file that an image contains as `SOURCE_FILE`.

    Raises:
        CheckFailed: There is no commit.
    """
    commit, changed = source(project)
    target.write_text(json.dumps({"git_commit": commit, "dirty_files": changed}) + "\n", encoding="utf-8")


def from_tags(tags: Mapping[str, str], run_tags: Mapping[str, str] | None = None) -> Lineage:
    """Read what `Lineage.tags` wrote; missing values are empty."""
    files = json.loads((run_tags or {}).get(DIRTY_FILES_TAG) or "[]")
    return Lineage(
        git_commit=tags.get(VersionTag.GIT_COMMIT, ""),
        dirty=tags.get(VersionTag.DIRTY, "") == "true",
        dirty_files=tuple(files),
        data_hash=tags.get(VersionTag.DATA_HASH, ""),
        config_hash=tags.get(VersionTag.CONFIG_HASH, ""),
        lock_hash=tags.get(VersionTag.LOCK_HASH, ""),
        library=tags.get(VersionTag.LIBRARY, ""),
        python=tags.get(VersionTag.PYTHON, ""),
        flow_run=tags.get(VersionTag.FLOW_RUN, ""),
        logged_rows=tags.get(VersionTag.LOGGED_ROWS, ""),
    )


LABELS = {
    "git_commit": "git commit",
    "dirty": "uncommitted changes",
    "data_hash": "data (MD5)",
    "logged_rows": "from request log",
    "config_hash": "configuration (SHA-256)",
    "lock_hash": "lock (SHA-256)",
    "library": "library",
    "python": "Python",
    "flow_run": "Prefect flow run",
}


def rows(lineage: Lineage) -> dict[str, str]:
    """Format a lineage for display: label → value."""
    dirty = "no"
    if lineage.dirty:
        dirty = "yes" + (f": {', '.join(lineage.dirty_files[:_NAMED_FILES])}" if lineage.dirty_files else "")
    values = {name: getattr(lineage, name) for name in LABELS} | {
        "dirty": dirty,
        "flow_run": lineage.flow_run or "none, trained in-process",
        "logged_rows": lineage.logged_rows or "no rows",
    }
    return {LABELS[name]: value or "unknown" for name, value in values.items()}


def compare(one: Lineage, other: Lineage) -> dict[str, tuple[str, str]]:
    """Return the differences between two versions: label → (value of one, value of other), without flow runs."""
    first, second = rows(one), rows(other)
    return {
        label: (first[label], second[label])
        for name, label in LABELS.items()
        if name != "flow_run" and first[label] != second[label]
    }


def head_commit(folder: Path) -> str | None:
    """Return the checked-out commit; None without git, a repository or a commit."""
    output = git.output(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    return output.strip() or None if output is not None else None


def changed_files(root: Path) -> list[str]:
    """List the changed files below `root`, and the untracked ones that can change a training."""
    output = git.output(root, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames", "--", ".")
    prefix = (git.output(root, "rev-parse", "--show-prefix") or "").strip()
    found = []
    for entry in (output or "").split("\0"):
        state, path = entry[:2], entry[3:].removeprefix(prefix)
        if not path or _is_left_behind(path) or (state == "??" and not path.startswith(_UNTRACKED_THAT_COUNT)):
            continue
        found.append(path)
    return sorted(found)


def text_sha256(text: str) -> str:
    """Return the hexadecimal SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def installed_library() -> str:
    """Describe the installed library: `platform-lib 0.1.0`, with its commit if it was installed from git."""
    try:
        distribution = importlib.metadata.distribution("platform-lib")
    except importlib.metadata.PackageNotFoundError:
        return "platform-lib, not installed"
    direct = json.loads(distribution.read_text("direct_url.json") or "{}")
    commit = direct.get("vcs_info", {}).get("commit_id", "")
    return f"platform-lib {distribution.version}" + (f" ({commit[:12]})" if commit else "")


def _is_left_behind(path: str) -> bool:
    return any(path == name or path.startswith(f"{name}/") or f"/{name}/" in f"/{path}" for name in _LEFT_BEHIND)
