"""Is the git work tree one that a commit may be made of: no conflict left by an update or a merge. What changed is `lineage`'s."""

from collections.abc import Iterable

from platform_lib import git
from platform_lib.findings import Finding, ok, problem
from platform_lib.settings import Project

# Both ends are asked for: a line of equals signs alone underlines headings in Markdown.
MARKERS = "^(<<<<<<<|>>>>>>>) "


def check_work_tree(project: Project) -> Iterable[Finding]:
    """Findings on unmerged files, markers and what a failed patch leaves."""
    name = "git"
    if git.lines(project.root, "rev-parse", "--verify", "--quiet", "HEAD") == []:
        return [problem(name, "there is no commit yet, and a model has to name one.", "Run `make setup`.")]
    found = []
    if unmerged := sorted({line.split("\t")[-1] for line in git.lines(project.root, "ls-files", "--unmerged")}):
        remedy = "Edit each, then `git add` it."
        found.append(problem(name, f"unmerged: {', '.join(unmerged)}.", remedy))
    if marked := [line for line in git.lines(project.root, "grep", "-lE", MARKERS) if line not in unmerged]:
        remedy = "Settle the lines between <<<<<<< and >>>>>>>, then commit."
        found.append(problem(name, f"conflict markers in {', '.join(marked)}.", remedy))
    if rejected := git.lines(project.root, "ls-files", "--cached", "--others", "--exclude-standard", "*.rej"):
        remedy = "Carry over by hand what they hold, then delete them."
        found.append(problem(name, f"an update left {', '.join(rejected)}.", remedy))
    return found or [ok(name, "no conflicts.")]
