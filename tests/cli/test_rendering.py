"""Verdicts of the gate in words."""

from typing import Any

import pytest

from platform_lib.cli.rendering import verdict_lines
from platform_lib.training.wording import gain_text

COMPARED: dict[str, Any] = {
    "passed": True,
    "metric": "accuracy",
    "score": 0.9,
    "rows": 300,
    "compared_rows": 300,
    "compared_score": 0.9,
    "champion_version": "7",
    "champion_score": 0.89,
    "interval": [-0.005, 0.0294],
    "margin": 0.01,
}


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.005, 0.0294, "between 0.0050 worse and 0.0294 better"),
        (0.01, 0.03, "better by 0.0100 to 0.0300"),
        (-0.03, -0.01, "worse by 0.0100 to 0.0300"),
        (0.0, 0.0, "the same"),
        (-1234.5, 2.0, "between 1234 worse and 2.0000 better"),
    ],
)
def test_an_interval_says_worse_and_better_instead_of_signs(low: float, high: float, words: str) -> None:
    assert gain_text(low, high) == words


def test_a_passed_comparison_is_told_in_words() -> None:
    assert verdict_lines(COMPARED) == [
        "Gate: passed",
        "  accuracy 0.9000; champion, version 7, 0.8900 on the same rows",
        "  between 0.0050 worse and 0.0294 better than the champion (95 % interval); 0.0100 worse is allowed",
    ]


def test_the_rows_that_the_champion_had_seen_are_named() -> None:
    line = verdict_lines(COMPARED | {"compared_rows": 60, "compared_score": 0.95})[1]

    assert line == (
        "  accuracy 0.9500; champion, version 7, 0.8900 on the 60 of 300 held-out rows that it was not fitted on"
    )


@pytest.mark.parametrize("decision", ["refused", "cannot tell"])
def test_an_open_question_has_another_heading_than_a_refusal(decision: str) -> None:
    verdict = COMPARED | {"passed": False, "decision": decision, "reasons": ["why"]}

    assert verdict_lines(verdict) == [f"Gate: {decision}", "  - why"]
    del verdict["decision"]
    assert verdict_lines(verdict)[0] == "Gate: refused"
