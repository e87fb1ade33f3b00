"""Render a monitoring report as one HTML page, with the looks of the report of a version."""

from platform_lib.monitoring.content import MonitorReport
from platform_lib.monitoring.page.drift_sections import columns_section, joint_blocks, overview_section
from platform_lib.monitoring.page.score_section import score_section, traffic_section
from platform_lib.report.blocks import Section
from platform_lib.report.html import render_html
from platform_lib.training.wording import number


def render_report(report: MonitorReport) -> str:
    """Render a report.

    Args:
        report: What to show. Texts are escaped; private columns are not in it.
    """
    sections = [
        overview_section(report),
        columns_section(report),
        Section(anchor="joint", title="All features together", blocks=joint_blocks(report)),
        score_section(report),
        traffic_section(report),
    ]
    return render_html(
        "monitor.html.j2",
        package=__package__,
        report=report,
        title=f"{report.model} version {report.version} in use",
        heading="A limit was crossed" if report.problems else "No limit was crossed",
        tone="bad" if report.problems else "good",
        reasons=report.problems,
        notices=report.notes,
        notices_heading="What this report cannot say",
        facts=_facts(report),
        sections=[section for section in sections if section.blocks],
        not_computed={},
    )


def _facts(report: MonitorReport) -> dict[str, str]:
    score = report.score
    facts = {
        "rows": f"{sum(report.rows):,}",
        "drifted columns": f"{sum(column.drifted for column in report.columns)} of {len(report.columns)}",
    }
    if score.held_out is not None:
        facts[f"{score.metric} on held-out rows"] = number(score.held_out)
    if score.total.score is not None:
        facts[f"{score.metric} on {score.total.labelled:,} labelled rows"] = number(score.total.score)
    if score.total.estimate is not None:
        facts[f"{score.metric} as estimated"] = number(score.total.estimate)
    if report.joint is not None:
        facts["all features together, AUC"] = f"{report.joint.auc:.2f}"
    return facts
