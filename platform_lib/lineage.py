"""What a model came from: code, data, configuration, dependencies. Collects it before training and reads it back from tags; stores nothing."""

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platform_lib import git
from platform_lib.data.contract import DataContract
from platform_lib.errors import CheckFailed
from platform_lib.names import VersionTag
from platform_lib.settings import LOCK_FILES, Project

DIRTY_FILES_TAG = "mlp.dirty_files"
"""Run tag: the files that differed from the commit, at most `_NAMED_FILES`."""
_NAMED_FILES = 20
SOURCE_FILE = ".mlp-source.json"
"""In an image, which has no git: the commit that it was built from."""

# Untracked files matter where they can change a training; a table somebody predicted into the root does not.
_UNTRACKED_THAT_COUNT = ("src/", "conf/", "data/", "pyproject.toml", *LOCK_FILES)
# What runs leave behind, also where a project's .gitignore has lost the line.
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
    """The origin of one version. Hashes are hexadecimal; an empty string is not known."""

    git_commit: str
    dirty: bool
    """The working tree differed from the commit where it matters."""
    dirty_files: tuple[str, ...] = ()
    data_hash: str
    """MD5 of the table's content, as DVC has it."""
    config_hash: str
    """SHA-256 of the resolved configuration."""
    lock_hash: str
    """SHA-256 of uv.lock or pdm.lock."""
    library: str
    """`platform-lib` with its version, and its commit where it was installed from git."""
    python: str
    flow_run: str = ""
    """Id of the Prefect flow run; empty for a run in-process."""

    def tags(self) -> dict[str, str]:
        """As tags of a model version; what is not known has none."""
        tags = {
            VersionTag.GIT_COMMIT: self.git_commit,
            VersionTag.DIRTY: "true" if self.dirty else "false",
            VersionTag.DATA_HASH: self.data_hash,
            VersionTag.CONFIG_HASH: self.config_hash,
            VersionTag.LOCK_HASH: self.lock_hash,
            VersionTag.LIBRARY: self.library,
            VersionTag.PYTHON: self.python,
            VersionTag.FLOW_RUN: self.flow_run,
        }
        return {name: value for name, value in tags.items() if value}


def collect(project: Project, contract: DataContract, config_yaml: str, flow_run: str = "") -> Lineage:
    """Say what a training that starts now comes from.

    Raises:
        CheckFailed: There is no commit, no data hash or no lock: the version could never be made again.
    """
    from platform_lib.data.dvc import data_hash

    commit, changed = source(project)
    if project.lock_file is None:
        raise CheckFailed(
            f"{project.root} has no lock of its dependencies ({' or '.join(LOCK_FILES)}). "
            "Run `make setup`, or `uv lock` or `pdm lock`, and commit the file."
        )
    hashed = data_hash(project, contract)
    if not hashed:
        raise CheckFailed(
            f"the table {contract.path} has no hash, so nobody could say which data made the model. Import it with `mlp data import`."
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
    )


def source(project: Project) -> tuple[str, tuple[str, ...]]:
    """The commit of the project's code, and the files that differ from it; in an image, those when it was built.

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
            f"{project.root} has no git commit, so nobody could say which code made the model. "
            "Run `make setup`, or `git init` and commit what is there."
        ) from err


def write_source(project: Project, target: Path) -> None:
    """Keep what `source` says in a file, to lie in an image as `SOURCE_FILE`.

    Raises:
        CheckFailed: There is no commit.
    """
    commit, changed = source(project)
    target.write_text(json.dumps({"git_commit": commit, "dirty_files": changed}) + "\n", encoding="utf-8")


def from_tags(tags: Mapping[str, str], run_tags: Mapping[str, str] | None = None) -> Lineage:
    """Read what `Lineage.tags` wrote; what a version lacks is empty."""
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
    )


LABELS = {
    "git_commit": "git commit",
    "dirty": "uncommitted changes",
    "data_hash": "data (MD5)",
    "config_hash": "configuration (SHA-256)",
    "lock_hash": "lock (SHA-256)",
    "library": "library",
    "python": "Python",
    "flow_run": "Prefect flow run",
}


def rows(lineage: Lineage) -> dict[str, str]:
    """The lineage as people read it: label → value."""
    dirty = "no"
    if lineage.dirty:
        dirty = "yes" + (f": {', '.join(lineage.dirty_files[:_NAMED_FILES])}" if lineage.dirty_files else "")
    values = {name: getattr(lineage, name) for name in LABELS} | {
        "dirty": dirty,
        "flow_run": lineage.flow_run or "none, trained in-process",
    }
    return {LABELS[name]: value or "unknown" for name, value in values.items()}


def compare(one: Lineage, other: Lineage) -> dict[str, tuple[str, str]]:
    """What two versions do not share: label → (of the one, of the other). Flow runs always differ and are left out."""
    first, second = rows(one), rows(other)
    return {
        label: (first[label], second[label])
        for name, label in LABELS.items()
        if name != "flow_run" and first[label] != second[label]
    }


def head_commit(folder: Path) -> str | None:
    """The commit that is checked out; None without git, a repository or a commit."""
    output = git.output(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    return output.strip() or None if output is not None else None


def changed_files(root: Path) -> list[str]:
    """Files below `root` that make a training differ from the commit: changed ones, and untracked ones where code, conf and data lie."""
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
    """SHA-256 of a text in UTF-8, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def installed_library() -> str:
    """The installed library: `platform-lib 0.1.0`, with its commit where pip took it from git."""
    try:
        distribution = importlib.metadata.distribution("platform-lib")
    except importlib.metadata.PackageNotFoundError:
        return "platform-lib, not installed"
    direct = json.loads(distribution.read_text("direct_url.json") or "{}")
    commit = direct.get("vcs_info", {}).get("commit_id", "")
    return f"platform-lib {distribution.version}" + (f" ({commit[:12]})" if commit else "")


def _is_left_behind(path: str) -> bool:
    return any(path == name or path.startswith(f"{name}/") or f"/{name}/" in f"/{path}" for name in _LEFT_BEHIND)
