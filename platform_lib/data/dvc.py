"""Version tables with DVC: hash, track, push and pull, in this process. Remotes are configured with plain `dvc`."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from platform_lib import git
from platform_lib.data.contract import DataContract
from platform_lib.data.dataset import dataset_path
from platform_lib.data.dvc_errors import dvc_errors
from platform_lib.errors import UsageError
from platform_lib.settings import Project


def data_hash(project: Project, contract: DataContract) -> str:
    """MD5 of the table's bytes on disk, hexadecimal. For an imported table, DVC stores it under this hash.

    Raises:
        NotFound: The file does not exist; says how to fetch it.
    """
    return file_md5(dataset_path(project, contract))


def file_md5(path: Path) -> str:
    """MD5 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def require_repository(project: Project) -> None:
    """Check that DVC can track files of the project, without changing anything.

    Raises:
        UsageError: The project is not in a git repository.
    """
    if not any((folder / ".git").exists() for folder in (project.root, *project.root.parents)):
        raise UsageError(
            f"{project.root} is not in a git repository, which DVC needs to version data; run `make setup`, which "
            "creates one."
        )


def require_trackable(project: Project, table: Path, contract: Path) -> None:
    """Check that git does not keep DVC from tracking a table, without changing anything.

    Args:
        project: Of the table.
        table: Where it will be.
        contract: Its data contract, which has to be committed, as the table's .dvc file has.
    Raises:
        UsageError: git ignores one of these files, or tracks the table.
    """
    for path in (table.with_name(f"{table.name}.dvc"), contract):
        shown = path.relative_to(project.root).as_posix()
        if git.succeeds(project.root, "check-ignore", "--quiet", "--", shown):
            rule = git.lines(project.root, "check-ignore", "--verbose", "--", shown)
            source, line, pattern = (rule[0].partition("\t")[0].split(":", 2) if rule else ["", "", ""])[:3]
            where = f" (line {line} of {source}: `{pattern}`)" if pattern else ""
            raise UsageError(
                f"git ignores {shown}{where}, but it must be committed, so nothing was imported. Remove that rule, or "
                f"add the line `!{shown}` below it; a rule that ignores a whole folder has to end with `/*` for that. "
                f"`git check-ignore -v {shown}` shows the rule that applies."
            )
    shown = table.relative_to(project.root).as_posix()
    if git.succeeds(project.root, "ls-files", "--error-unmatch", "--", shown):
        raise UsageError(
            f"git tracks {shown}, so DVC cannot track it as well, and nothing was imported. Run "
            f"`git rm --cached {shown}`, then import again."
        )


def _initialise(project: Project) -> None:
    from dvc.repo import Repo

    Repo.init(str(project.root), subdir=not (project.root / ".git").exists()).close()
    # Telemetry is off by default, for plain `dvc` too.
    (project.root / ".dvc" / "config").write_text("[core]\n    analytics = false\n", encoding="utf-8")


def tracked_files(project: Project) -> list[Path]:
    """Tables under data/ that DVC tracks, whether they are on disk or only in a remote."""
    return sorted(path.with_suffix("") for path in project.data_dir.glob("*.dvc"))


def tracked_md5(path: Path) -> str | None:
    """The hash under which DVC stores a tracked file, from its .dvc file; None without one."""
    md5 = _tracked(path).get("md5")
    return None if md5 is None else str(md5)


def _tracked_size(path: Path) -> int:
    """Bytes of a tracked file on this disk or not; 0 if that is unknown."""
    size = _tracked(path).get("size")
    return size if isinstance(size, int) else 0


def _tracked(path: Path) -> dict[str, Any]:
    try:
        return dict(yaml.safe_load(path.with_name(f"{path.name}.dvc").read_text(encoding="utf-8"))["outs"][0])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, IndexError, TypeError, ValueError):
        return {}


def track(project: Project, path: Path) -> None:
    """Track a file with DVC: content in the cache, hash in `<file>.dvc`, name in .gitignore. Idempotent.

    Initialises DVC in the project if necessary.
    """
    with dvc_errors(f"track {path.name}"):
        if not (project.root / ".dvc").is_dir():
            _initialise(project)
        with _repository(project) as repo:
            repo.add([str(path)])


def push(project: Project, remote: str | None = None) -> int:
    """Copy the tracked tables that the remote does not have to the remote.

    Returns:
        Number of files copied.
    Raises:
        UsageError: Nothing is tracked, the remote does not exist, or a table is not in the cache and differs from the
            tracked one.
        ServiceError: The remote cannot be reached, or it refuses the request.
    """
    files = _some(tracked_files(project))
    for path in files:
        md5 = tracked_md5(path)
        if md5 is None:
            raise UsageError(
                f"{path.name}.dvc cannot be read; restore it with `git checkout -- data/{path.name}.dvc`, or import "
                "the table again."
            )
        if path.is_file() and file_md5(path) != md5:
            raise UsageError(
                f"data/{path.name} was changed after it was imported, so a push would copy the old content. "
                f"Import the change with `mlp data import`, or restore the old content with `mlp data pull --force`."
            )
    with dvc_errors("push", remote), _repository(project) as repo:
        _resolve_remote(repo, remote)
        for path in files:
            if not _in_cache(repo, str(tracked_md5(path))):
                if not path.is_file():
                    raise UsageError(
                        f"data/{path.name} is neither here nor in the cache; fetch it with `mlp data pull`, or import "
                        "it again."
                    )
                repo.commit(str(path), force=True)
        return int(repo.push(targets=[f"{path}.dvc" for path in files], remote=remote))


def pull(project: Project, remote: str | None = None, *, force: bool = False) -> int:
    """Fetch the tracked tables that are missing on disk or differ from the tracked ones.

    Args:
        project: Whose tables.
        remote: Name of a DVC remote; None is the default one.
        force: Overwrite tables that were changed on disk.
    Returns:
        Number of files fetched from the remote.
    Raises:
        UsageError: Nothing is tracked, the remote does not exist, or a changed table would be overwritten.
        NotFound: The remote does not have a table.
        ServiceError: The remote cannot be reached, or it refuses the request.
    """
    files = _some(tracked_files(project))
    if not force:
        for path in files:
            if path.is_file() and file_md5(path) != tracked_md5(path) and not _is_older(project, path):
                raise UsageError(
                    f"data/{path.name} was changed here and would be overwritten; import the change, or discard it "
                    "with `mlp data pull --force`."
                )
    # A table is in the cache and, unless that is a link, in data/.
    needs = (project.data_dir, 2 * sum(_tracked_size(path) for path in files))
    with dvc_errors("pull", remote, needs=needs), _repository(project) as repo:
        if all(_in_cache(repo, str(tracked_md5(path))) for path in files):
            repo.checkout(targets=[f"{path}.dvc" for path in files], force=True)
            return 0
        _resolve_remote(repo, remote)
        result: dict[str, Any] = repo.pull(targets=[f"{path}.dvc" for path in files], remote=remote, force=True)
        return int(result.get("stats", {}).get("fetched", 0))


def _is_older(project: Project, path: Path) -> bool:
    """Whether the file is another version that DVC has in its cache, so that overwriting it loses nothing."""
    with _repository(project) as repo:
        return _in_cache(repo, file_md5(path))


def _in_cache(repo: Any, md5: str) -> bool:
    return bool(repo.cache.local.exists(md5))


def _some(files: list[Path]) -> list[Path]:
    if not files:
        raise UsageError(
            "no table of this project is tracked by DVC yet; import one with `mlp data import FILE --target COLUMN`."
        )
    return files


def _resolve_remote(repo: Any, remote: str | None) -> None:
    name = remote or repo.config["core"].get("remote")
    if name is None:
        raise UsageError(
            "no DVC remote is configured; add one with `dvc remote add --default storage URL`, where URL is a folder "
            "or s3://bucket/path."
        )
    if name not in repo.config["remote"]:
        known = ", ".join(repo.config["remote"]) or "none"
        raise UsageError(
            f"there is no DVC remote {name!r}; configured are: {known}. Add it with `dvc remote add {name} URL`."
        )


@contextmanager
def _repository(project: Project) -> Iterator[Any]:
    from dvc.repo import Repo

    # An image has the project without its git history: DVC then reads what is tracked from the .dvc files alone.
    has_git = any((folder / ".git").exists() for folder in (project.root, *project.root.parents))
    with Repo(str(project.root), config=None if has_git else {"core": {"no_scm": True}}) as repo:
        try:
            yield repo
        except Exception:
            # What DVC had begun to copy keeps a full disk full.
            for part in Path(repo.cache.local.path).glob("*/.*.tmp"):
                part.unlink(missing_ok=True)
            raise
