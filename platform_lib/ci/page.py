"""A candidate as Markdown, for the comment on a pull request and the summary of a CI run."""

import re

from platform_lib.ci.candidate import Candidate
from platform_lib.training.diagnostics.summary import slice_text
from platform_lib.training.diagnostics.tables import Diagnostics

_MOST_SLICES = 5
_HEADINGS = {
    "passed": "passed the gate",
    "refused": "refused by the gate",
    "cannot tell": "the gate cannot tell whether it is worse",
}


def candidate_page(candidate: Candidate, *, run_url: str = "") -> str:
    """Describe a candidate: verdict with reasons, metrics, weakest slices, notices.

    Args:
        candidate: The trained model.
        run_url: Address of the CI run, which has the report as an artifact; empty if not known.
    """
    result = candidate.result
    lines = [f"## `{result.name}`: {_HEADINGS[result.verdict.decision]}", "", candidate.compared_with, ""]
    lines += [result.description, ""]
    lines += slice_lines(candidate.version.diagnostics)
    if result.notices:
        lines += ["### Warnings", "", *(f"- {escaped(notice)}" for notice in result.notices), ""]
    if candidate.report is not None and run_url:
        lines += [f"The full report, with errors, features and rows, is an artifact of [this run]({run_url}).", ""]
    return "\n".join(lines)


def slice_lines(diagnostics: Diagnostics | None) -> list[str]:
    """The weakest slices as Markdown, or why there are none; empty if the training looked at no errors."""
    if diagnostics is None:
        return []
    search = diagnostics.slices
    if search is None:
        reason = diagnostics.not_computed.get("slices", "the held-out rows are too few")
        return ["### Weakest slices", "", f"Not computed: {escaped(reason).rstrip('.')}.", ""]
    found = [f"- {code(slice_text(part, search.loss))}" for part in search.found[:_MOST_SLICES]]
    none = ["None is worse than the rest by more than chance."]
    return [f"### Weakest slices, of {search.looked_at}", "", *(found or none), ""]


def skipped_page(name: str, reason: str) -> str:
    """Say why there is no candidate.

    Args:
        name: Of the model.
        reason: As a sentence.
    """
    return f"## `{name}`: no candidate\n\n{escaped(reason)}\n"


def code(text: str) -> str:
    """A text as inline code, so that values of the data are neither markup nor mentions of people."""
    return "`" + " ".join(text.replace("`", "'").split()) + "`"


def escaped(text: str) -> str:
    """A text that is neither HTML nor a mention of a person."""
    return re.sub(r"@(?=\w)", "@&#8203;", text.replace("<", "&lt;"))
