"""What follows Copier's update: keep the user's lines, list what conflicts, stage the rest."""

import tempfile
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

from platform_lib import git
from platform_lib.errors import UsageError
from platform_lib.files import write_atomically
from platform_lib.updates.copier_command import Render
from platform_lib.updates.merge import add_lines, merge_conflicts

_SIMILAR = 0.6  # share of equal lines from which a new file counts as a renamed old one


@dataclass(kw_only=True, slots=True)
class Settled:
    """Files of an update that the user should know about; paths below the project."""

    conflicts: list[str] = field(default_factory=list)
    """Files with conflict markers, or with rejected changes."""
    merged: list[str] = field(default_factory=list)
    """Files in which the template changed lines beside the user's; both are kept."""
    moved: list[tuple[str, str]] = field(default_factory=list)
    """Files that the template renamed, with the new name; the user's lines moved with them."""
    kept: list[str] = field(default_factory=list)
    """Files that the template dropped, and that stay because the user had changed them."""


def require_clean(root: Path) -> str:
    """Return the commit of a project without uncommitted changes.

    Raises:
        UsageError: There are changes, or there is no commit yet.
    """
    commit = git.output(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None:
        raise UsageError(f"{root} has no commit yet, so an update could not be undone. Run `make setup`.")
    changed = git.lines(root, "status", "--porcelain", "--untracked-files=all")
    if changed:
        names = ", ".join(line[3:] for line in changed[:3]) + (", …" if len(changed) > 3 else "")
        raise UsageError(
            f"The repository has uncommitted changes ({names}), so an update could not be undone. "
            "Commit your work first: `git add -A && git commit`."
        )
    return commit.strip()


def settle(root: Path, render: Render) -> Settled:
    """Finish an update: merge what is not in doubt, keep dropped files that the user changed, stage the result.

    Args:
        root: The project's folder.
        render: Renders the version before the update; called only if the update deleted files.
    """
    settled = Settled()
    for name in _unmerged(root):
        file = root / name
        merged = merge_conflicts(name, _read(file))
        if merged is None:
            settled.conflicts.append(name)
        else:
            _write(file, merged)
            settled.merged.append(name)
    _keep_dropped(root, render, settled)
    settled.conflicts += git.lines(root, "ls-files", "--others", "*.rej")
    aside = [f":(exclude){name}" for name in settled.conflicts]
    git.require(root, "add", "--all", "--", ".", *aside)
    return settled


def _unmerged(root: Path) -> list[str]:
    entries = (git.output(root, "ls-files", "--unmerged", "-z") or "").split("\0")
    return sorted({entry.split("\t", 1)[1] for entry in entries if entry})


def _keep_dropped(root: Path, render: Render, settled: Settled) -> None:
    dropped = _names(root, "diff", "--name-only", "--no-renames", "--diff-filter=D", "--relative", "-z", "HEAD")
    if not dropped:
        return
    added = [root / name for name in _names(root, "ls-files", "--others", "--exclude-standard", "-z")]
    with tempfile.TemporaryDirectory(prefix="mlp-update-") as temporary:
        before = Path(temporary) / "before"
        render(before)
        for name in dropped:
            if not (before / name).is_file():
                continue
            old = _read(before / name).splitlines(keepends=True)
            mine = git.require(root, "show", f"HEAD:./{name}").splitlines(keepends=True)
            if [line.rstrip() for line in mine] == [line.rstrip() for line in old]:
                continue
            successor = max(added, key=lambda file: _similarity(old, file), default=None)
            if successor is not None and _similarity(old, successor) >= _SIMILAR:
                merged = add_lines(mine, old, _read(successor).splitlines(keepends=True))
                if merged is not None:
                    _write(successor, "".join(merged))
                    settled.moved.append((name, successor.relative_to(root).as_posix()))
                    continue
            git.require(root, "checkout", "--quiet", "HEAD", "--", name)
            settled.kept.append(name)


def _names(root: Path, *command: str) -> list[str]:
    return [name for name in (git.output(root, *command) or "").split("\0") if name]


def _similarity(old: list[str], file: Path) -> float:
    return SequenceMatcher(None, old, _read(file).splitlines(keepends=True), autojunk=False).ratio()


def _read(file: Path) -> str:
    with file.open(encoding="utf-8", errors="surrogateescape", newline="") as opened:
        return opened.read()


def _write(file: Path, text: str) -> None:
    write_atomically(file, text.encode(errors="surrogateescape"))
