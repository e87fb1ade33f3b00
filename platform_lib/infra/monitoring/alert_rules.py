"""Build one Prometheus alert rule."""

from typing import Any, Literal

_RUNBOOK = "docs/platform/troubleshooting.md"


def alert(
    name: str, expression: str, lasts: str, severity: Literal["critical", "warning"], summary: str, description: str
) -> dict[str, Any]:
    """Build an alert rule with a link to its section of the troubleshooting page.

    Args:
        name: Name of the alert.
        expression: PromQL.
        lasts: How long the expression must hold, as a Prometheus duration such as `5m`.
        severity: critical needs a person at once; warning can wait until the morning.
        summary: What is wrong; a Go template of Prometheus.
        description: Likely causes, and where to look.
    """
    return {
        "alert": name,
        "expr": expression,
        "for": lasts,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": description, "runbook": f"{_RUNBOOK}#{name.lower()}"},
    }
