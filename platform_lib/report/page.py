"""Render the report of a version as one HTML file."""

from platform_lib.report.content import ReportContent
from platform_lib.report.error_sections import errors_section, slices_section
from platform_lib.report.html import render_html
from platform_lib.report.model_sections import (
    card_section,
    data_section,
    features_section,
    origin_section,
    rows_section,
)
from platform_lib.report.score_sections import key_facts, scores_section
from platform_lib.training.wording import decision_of, verdict_lines

_TONES = {"passed": "good", "refused": "bad", "cannot tell": "unsure"}
_HEADINGS = {
    "passed": "Passed the gate",
    "refused": "Refused by the gate",
    "cannot tell": "The gate cannot tell",
    "not run": "Not judged by the gate",
}


def render(content: ReportContent) -> str:
    """Render the report.

    Args:
        content: What to show. Texts are escaped, and values of private columns left out.
    """
    decision = "not run" if content.verdict is None else decision_of(content.verdict)
    sections = [
        card_section(content),
        scores_section(content),
        slices_section(content),
        errors_section(content),
        features_section(content),
        rows_section(content),
        data_section(content),
        origin_section(content),
    ]
    missing = {} if content.diagnostics is None else content.diagnostics.not_computed
    return render_html(
        "page.html.j2",
        content=content,
        title=content.title,
        facts=key_facts(content),
        heading=_HEADINGS.get(decision, decision),
        tone=_TONES.get(decision, "unsure"),
        reasons=[line.strip().removeprefix("- ") for line in verdict_lines(content.verdict)[1:]],
        notices=content.notices,
        sections=[section for section in sections if section is not None and section.blocks],
        not_computed=missing,
    )
