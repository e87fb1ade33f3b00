"""One alert as Prometheus wants it: a name, an expression, how long it must hold, who is called and what they read."""

from typing import Any, Literal

_RUNBOOK = "docs/platform/troubleshooting.md"


def alert(
    name: str, expression: str, lasts: str, severity: Literal["critical", "warning"], summary: str, description: str
) -> dict[str, Any]:
    """A rule of a group.

    Args:
        lasts: Prometheus' form of a duration, such as `5m`.
        severity: critical calls people at once; warning can wait for the morning.
        summary: What is so; a Go template of Prometheus.
        description: Why, and where to look.
    """
    return {
        "alert": name,
        "expr": expression,
        "for": lasts,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": description, "runbook": f"{_RUNBOOK}#{name.lower()}"},
    }
