"""Is the git work tree one that a commit may be made of: no conflict left by an update or a merge. What changed is `lineage`'s."""

import subprocess
from collections.abc import Iterable

from platform_lib.local_platform.machine import Finding
from platform_lib.settings import Project

# Both ends are asked for: a line of equals signs alone underlines headings in Markdown.
MARKERS = "^(<<<<<<<|>>>>>>>) "


def check_work_tree(project: Project) -> Iterable[Finding]:
    """Findings on unmerged files, markers and what a failed patch leaves."""
    name = "git"
    if _lines(project, "rev-parse", "--verify", "--quiet", "HEAD") == []:
        return [
            Finding(
                name=name,
                level="problem",
                text="there is no commit yet, and a model has to name one.",
                mend="Run `make setup`.",
            )
        ]
    found = []
    if unmerged := sorted({line.split("\t")[-1] for line in _lines(project, "ls-files", "--unmerged")}):
        mend = "Edit each, then `git add` it."
        found.append(Finding(name=name, level="problem", text=f"unmerged: {', '.join(unmerged)}.", mend=mend))
    if marked := [line for line in _lines(project, "grep", "-lE", MARKERS) if line not in unmerged]:
        mend = "Settle the lines between <<<<<<< and >>>>>>>, then commit."
        found.append(Finding(name=name, level="problem", text=f"conflict markers in {', '.join(marked)}.", mend=mend))
    if rejected := _lines(project, "ls-files", "--cached", "--others", "--exclude-standard", "*.rej"):
        mend = "Carry over by hand what they hold, then delete them."
        found.append(Finding(name=name, level="problem", text=f"an update left {', '.join(rejected)}.", mend=mend))
    return found or [Finding(name=name, level="ok", text="no conflicts.")]


def _lines(project: Project, *args: str) -> list[str]:
    try:
        done = subprocess.run(
            ["git", *args], cwd=project.root, capture_output=True, text=True, encoding="utf-8", check=False
        )
    except OSError:
        return []
    return done.stdout.splitlines()
