"""Write an import to disk so that an interruption leaves the old state, or one that the next command finishes.

Everything is staged in `.mlp/import/` first; a journal, renamed into place last, marks the staging as complete. The
rest of the import consists of moves that can be repeated. `plan` decides what is written.
"""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from platform_lib.data import dvc
from platform_lib.data.contract import DataContract, dump_contract
from platform_lib.data.dataset import contract_path
from platform_lib.errors import UsageError
from platform_lib.files import make_durable, move_into_place, write_atomically
from platform_lib.process_identity import still_runs
from platform_lib.settings import Project

JOURNAL = "journal.json"
_OWNER = "owner.json"
_TABLE = "table.parquet"
_CONTRACT = "contract.yaml"
_MARK = {b"platform_lib": b"imported"}
_SELECTION = re.compile(r"""^(?P<before>\s*-\s*["']?data["']?\s*:\s*)(?P<name>[^\s#]+)(?P<after>.*)$""")

HEADER = """\
# The columns of {path}. Written by `mlp data import`; review and edit it like code. Training checks the table against it.
#   type       integer, number, boolean, string or datetime
#   nullable   true: values may be missing
#   min, max   smallest and largest value allowed; widen or remove them if values may go further
#   allowed    the values allowed; add to the list, or remove it to allow any value
#   log        false keeps its values out of the request log, metrics, examples and messages
#   sensitive  true does the same, and keeps them out of this file, of the server's description, and of the model file
#   csv        how CSV files write the column: decimal, unit, dates, missing, not_missing
# Remove a column's entry to keep it out of the model. A second import keeps such edits if they still fit, but not comments.
# `key` decides on which side of the hold-out split a row falls: changing it moves rows.
"""  # noqa: E501  users read it


def check_destination(project: Project, name: str) -> None:
    """Check that an import can be written, before anything is read.

    Raises:
        UsageError: There is no git repository, git ignores what must be committed or tracks the table itself,
            conf/train.yaml has no line that selects a table, or the table would overwrite a file that was not imported.
    """
    dvc.require_repository(project)
    dvc.require_trackable(project, project.data_dir / f"{name}.parquet", contract_path(project, name))
    selected_line(project)
    path = project.data_dir / f"{name}.parquet"
    if path.exists() and not contract_path(project, name).exists() and not _was_imported(path):
        raise UsageError(
            f"data/{name}.parquet is where the import would write its table; move the file out of data/, or use "
            "another --name."
        )


def write_import(project: Project, contract: DataContract, table: pa.Table) -> None:
    """Write table and contract, track the table with DVC, and select it in conf/train.yaml.

    All of it is written, or, if any step fails, everything is as before. Only a killed process leaves an import that
    the next command finishes.

    Raises:
        UsageError: Another import is running, or another program has a file open.
        ServiceError: DVC cannot track the table.
        OSError: The disk is full, or a folder is not writable.
    """
    import pyarrow.parquet as parquet

    finish_interrupted(project)
    staging = _claim(project)
    try:
        parquet.write_table(table.replace_schema_metadata(_MARK), staging / _TABLE, compression="zstd")
        (staging / _CONTRACT).write_text(
            HEADER.format(path=contract.path) + dump_contract(contract), encoding="utf-8", newline="\n"
        )
        for name in (_TABLE, _CONTRACT):
            make_durable(staging / name)
        undo = _Undo(project, contract)
        write_atomically(staging / JOURNAL, json.dumps({"name": contract.name, "path": contract.path}))
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    try:
        _finish(project)
    except Exception:
        undo.restore()
        raise


def finish_interrupted(project: Project) -> str | None:
    """Finish an import that was interrupted, or remove the files of one that had not begun to write.

    Returns:
        A sentence on the import that was finished; None if there was none.
    Raises:
        UsageError: The import is still running.
    """
    staging = staging_folder(project)
    if not staging.is_dir():
        return None
    if owner := _living_owner(staging):
        raise UsageError(f"another import is running in this project (process {owner}); wait until it ends.")
    journal = _journal(project)
    if journal is None:
        shutil.rmtree(staging, ignore_errors=True)
        return None
    _finish(project)
    return f"Finished the import of {journal['name']!r}, which had been interrupted."


def staging_folder(project: Project) -> Path:
    """The folder in which an import prepares its files."""
    return project.state_dir / "import"


def selected_line(project: Project) -> tuple[list[str], int, re.Match[str]]:
    """The lines of conf/train.yaml, and the number and match of the one that selects the table.

    Raises:
        UsageError: The file cannot be read, or no line of its `defaults` selects a table.
    """
    path = project.conf_dir / "train.yaml"
    try:
        lines = path.read_bytes().decode("utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as err:
        raise UsageError(f"cannot read {path}: {err}. Fix it, or restore it with `git checkout -- {path}`.") from err
    inside = False
    for number, line in enumerate(lines):
        if line.startswith("defaults:"):
            inside = True
        elif inside and line[:1] not in (" ", "-", "#", "\r", "\n"):
            break
        elif inside and (match := _SELECTION.match(line.rstrip("\r\n"))):
            return lines, number, match
    raise UsageError(
        f"{path} has no line `- data: NAME` under `defaults:`, so the import cannot select its table; add the line `  "
        "- data: ???`."
    )


class _Undo:
    """The files that an import changes, kept in the staging folder in case DVC or the disk refuses a step."""

    def __init__(self, project: Project, contract: DataContract) -> None:
        self._staging = staging_folder(project)
        table, described = project.root / contract.path, contract_path(project, contract.name)
        self._new = ((table, self._staging / _TABLE), (described, self._staging / _CONTRACT))
        changed = (
            table,
            described,
            table.with_name(f"{table.name}.dvc"),
            table.with_name(".gitignore"),
            project.conf_dir / "train.yaml",
        )
        self._kept = {path: self._staging / f"old-{number}" for number, path in enumerate(changed)}
        for path, kept in self._kept.items():
            if path == table and (path.exists() or path.is_symlink()):
                _second_name(path, kept)
            elif path.exists():
                shutil.copy2(path, kept)  # a copy: DVC appends to .gitignore

    def restore(self) -> None:
        """Restore the files. All are moves, which need no space; were one to fail, the next command would finish the
        import instead."""
        for target, staged in self._new:
            if target.exists() and not staged.exists():
                target.replace(staged)
        for path, kept in self._kept.items():
            if kept.exists() or kept.is_symlink():
                kept.replace(os.path.realpath(path) if path.suffix == ".yaml" else path)
            else:
                path.unlink(missing_ok=True)
        (self._staging / JOURNAL).unlink(missing_ok=True)
        shutil.rmtree(self._staging, ignore_errors=True)


def _second_name(file: Path, name: Path) -> None:
    """Keep a file under a second name without copying it; DVC may have made it a link into its cache."""
    try:
        os.link(file, name, follow_symlinks=False)
    except (OSError, NotImplementedError):  # the file system has no hard links
        shutil.copy2(file, name, follow_symlinks=False)


def _finish(project: Project) -> None:
    staging, journal = staging_folder(project), _journal(project)
    assert journal is not None
    table = project.root / journal["path"]
    contract = contract_path(project, journal["name"])
    for source, target in ((staging / _TABLE, table), (staging / _CONTRACT, contract)):
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            _move(source, target)
    dvc.track(project, table)
    _select(project, journal["name"], staging)
    # The journal is deleted first: without it, the next command removes the rest.
    (staging / JOURNAL).unlink()
    shutil.rmtree(staging, ignore_errors=True)


def _select(project: Project, name: str, staging: Path) -> None:
    lines, number, match = selected_line(project)
    if match["name"].strip("\"'") == name:
        return
    ending = lines[number][len(lines[number].rstrip("\r\n")) :]
    lines[number] = f"{match['before']}{name}{match['after']}{ending}"
    draft = staging / "train.yaml"
    draft.write_bytes("".join(lines).encode("utf-8"))
    _move(draft, project.conf_dir / "train.yaml")


def _move(source: Path, target: Path) -> None:
    if target.suffix == ".yaml":  # the user's file, which may be a link; a table may be DVC's link into its cache
        target = Path(os.path.realpath(target))
    try:
        move_into_place(source, target)
    except PermissionError as err:
        raise UsageError(
            f"{target} cannot be replaced: it is read-only or open in another program. Close it, then run the command "
            "again."
        ) from err


def _claim(project: Project) -> Path:
    """Create the staging folder, which is also the lock."""
    staging = staging_folder(project)
    staging.parent.mkdir(exist_ok=True)
    try:
        staging.mkdir()
    except FileExistsError as err:
        raise UsageError("another import is running in this project; wait until it ends.") from err
    process = psutil.Process()
    owner = json.dumps({"pid": process.pid, "started": process.create_time()})
    try:
        (staging / _OWNER).write_text(owner, encoding="utf-8")
    except OSError:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return staging


def _living_owner(staging: Path) -> int | None:
    """The process that prepares the staging folder; None if it has ended or is this one."""
    try:
        owner: dict[str, Any] = json.loads((staging / _OWNER).read_text(encoding="utf-8"))
        pid, started = int(owner["pid"]), float(owner["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if pid != os.getpid() and still_runs(pid, started) else None


def _journal(project: Project) -> dict[str, str] | None:
    try:
        return dict(json.loads((staging_folder(project) / JOURNAL).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _was_imported(path: Path) -> bool:
    import pyarrow.parquet as parquet

    try:
        return bool((parquet.read_schema(path).metadata or {}).get(b"platform_lib") == b"imported")
    except (OSError, pa.ArrowInvalid):
        return False
