"""Words for scores, their differences and the gate's verdict, without any library."""

from collections.abc import Mapping, Sequence
from typing import Any


def amount(value: float) -> str:
    """A score or a difference with four decimals, or four digits if it is large or tiny."""
    magnitude = abs(value)
    return f"{value:.4f}" if magnitude < 1000 and (magnitude >= 0.001 or magnitude == 0) else f"{value:.4g}"


def gain_text(low: float, high: float) -> str:
    """The interval of a gain in words: `better by 0.01 to 0.03`, `between 0.01 worse and 0.03 better`.

    Args:
        low: Lower end; above 0 is better.
        high: Upper end, ≥ low.
    """
    if amount(low) == amount(high) == amount(0.0):
        return "the same"
    if low >= 0:
        return f"better by {amount(low)} to {amount(high)}"
    if high <= 0:
        return f"worse by {amount(abs(high))} to {amount(-low)}"
    return f"between {amount(-low)} worse and {amount(high)} better"


def number(value: Any) -> str:
    """A number with four significant decimals, or a dash for None; other values as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else str(value)
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 1000):
        return f"{value:,.0f}"
    return amount(value)


def decision_of(verdict: Mapping[str, Any]) -> str:
    """`passed`, `refused` or `cannot tell`; verdicts of earlier versions have no decision of their own."""
    return "passed" if verdict.get("passed") else str(verdict.get("decision") or "refused")


def verdict_lines(verdict: Mapping[str, Any] | None) -> list[str]:
    """The gate's verdict as lines; those after the first are indented.

    Args:
        verdict: `training.gates.Verdict` as plain values; None if the gate has not judged the version.
    """
    if verdict is None:
        return ["Gate: not run"]
    if not verdict.get("passed"):
        return [f"Gate: {decision_of(verdict)}", *(f"  - {reason}" for reason in verdict.get("reasons", []))]
    champion = verdict.get("champion_score")
    if champion is not None:
        return ["Gate: passed", *(f"  {line}" for line in _comparison_lines(verdict))]
    limits = ", ".join(f"{name} {number(value)}" for name, value in verdict.get("thresholds", {}).items())
    return [
        "Gate: passed",
        f"  by thresholds only: {limits}"
        if limits
        else "  there is no champion to compare with, and conf/gate sets no threshold",
    ]


def _comparison_lines(verdict: Mapping[str, Any]) -> list[str]:
    interval: Sequence[float] | None = verdict.get("interval")
    rows, compared = verdict.get("rows"), verdict.get("compared_rows")
    own = verdict.get("compared_score", verdict.get("score"))  # verdicts of earlier versions compare on all rows
    some = isinstance(rows, int) and isinstance(compared, int) and compared < rows
    where = f"the {compared} of {rows} held-out rows that it was not fitted on" if some else "the same rows"
    lines = [
        f"{verdict.get('metric')} {number(own)}; champion, version {verdict.get('champion_version')}, "
        f"{number(verdict.get('champion_score'))} on {where}"
    ]
    if interval:
        words = gain_text(interval[0], interval[1])
        said = (
            f"{words} as the champion on these rows"
            if words == "the same"
            else f"{words} than the champion (95 % interval)"
        )
        margin = verdict.get("margin")
        allowed = f"; {number(margin)} worse is allowed" if interval[0] < 0 and isinstance(margin, float) else ""
        lines.append(f"{said}{allowed}")
    return lines
