"""Check the git work tree for conflicts left by an update or a merge."""

from collections.abc import Iterable

from platform_lib import git
from platform_lib.findings import Finding, ok, problem
from platform_lib.settings import Project

# Only the outer markers: a line of equals signs also underlines headings in Markdown.
MARKERS = "^(<<<<<<<|>>>>>>>) "


def check_work_tree(project: Project) -> Iterable[Finding]:
    """Check for unmerged files, conflict markers and rejected patches."""
    name = "git"
    if git.lines(project.root, "rev-parse", "--verify", "--quiet", "HEAD") == []:
        return [problem(name, "there is no commit yet, and every model records one.", "Run `make setup`.")]
    found = []
    if unmerged := sorted({line.split("\t")[-1] for line in git.lines(project.root, "ls-files", "--unmerged")}):
        remedy = "Edit each file, then run `git add` on it."
        found.append(problem(name, f"unmerged: {', '.join(unmerged)}.", remedy))
    if marked := [line for line in git.lines(project.root, "grep", "-lE", MARKERS) if line not in unmerged]:
        remedy = "Resolve the lines between <<<<<<< and >>>>>>>, then commit."
        found.append(problem(name, f"conflict markers in {', '.join(marked)}.", remedy))
    if rejected := git.lines(project.root, "ls-files", "--cached", "--others", "--exclude-standard", "*.rej"):
        remedy = "Apply their changes by hand, then delete them."
        found.append(problem(name, f"an update left {', '.join(rejected)}.", remedy))
    return found or [ok(name, "no conflicts.")]
