"""Is the git work tree one that a commit may be made of: no conflict left by an update or a merge. What changed is `lineage`'s."""

import subprocess
from collections.abc import Iterable

from platform_lib.findings import Finding, ok, problem
from platform_lib.settings import Project

# Both ends are asked for: a line of equals signs alone underlines headings in Markdown.
MARKERS = "^(<<<<<<<|>>>>>>>) "


def check_work_tree(project: Project) -> Iterable[Finding]:
    """Findings on unmerged files, markers and what a failed patch leaves."""
    name = "git"
    if _lines(project, "rev-parse", "--verify", "--quiet", "HEAD") == []:
        return [problem(name, "there is no commit yet, and a model has to name one.", "Run `make setup`.")]
    found = []
    if unmerged := sorted({line.split("\t")[-1] for line in _lines(project, "ls-files", "--unmerged")}):
        remedy = "Edit each, then `git add` it."
        found.append(problem(name, f"unmerged: {', '.join(unmerged)}.", remedy))
    if marked := [line for line in _lines(project, "grep", "-lE", MARKERS) if line not in unmerged]:
        remedy = "Settle the lines between <<<<<<< and >>>>>>>, then commit."
        found.append(problem(name, f"conflict markers in {', '.join(marked)}.", remedy))
    if rejected := _lines(project, "ls-files", "--cached", "--others", "--exclude-standard", "*.rej"):
        remedy = "Carry over by hand what they hold, then delete them."
        found.append(problem(name, f"an update left {', '.join(rejected)}.", remedy))
    return found or [ok(name, "no conflicts.")]


def _lines(project: Project, *args: str) -> list[str]:
    try:
        done = subprocess.run(
            ["git", *args], cwd=project.root, capture_output=True, text=True, encoding="utf-8", check=False
        )
    except OSError:
        return []
    return done.stdout.splitlines()
