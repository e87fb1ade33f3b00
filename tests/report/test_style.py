"""The colours of the report have enough contrast in both themes, computed from the style sheet (WCAG 2.2, AA)."""

import re
from importlib.resources import files

import pytest

STYLE = files("platform_lib.report").joinpath("style.css").read_text(encoding="utf-8")
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6}|[\d, ]+);", block))
    for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
)
for theme in (LIGHT, DARK):
    channels = theme["shade"].split(", ")
    theme["shade"] = "#" + "".join(f"{int(channel):02x}" for channel in channels)
TEXTS = [
    *(("text", panel) for panel in ("page", "panel", "good-panel", "bad-panel", "unsure-panel", "shade")),
    *(("muted", panel) for panel in ("page", "panel")),
    ("link", "page"),
    *((tone, f"{tone}-panel") for tone in ("good", "bad", "unsure")),
    ("good", "page"),
    ("bad", "page"),
]
MARKS = [(name, "page") for name in ("s1", "s2", "s3", "s4", "s5", "mark")]


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_formula_gives_the_known_values() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_and_marks_stand_out(theme: dict[str, str]) -> None:
    wanted = [(pair, 4.5) for pair in TEXTS] + [(pair, 3.0) for pair in MARKS]
    found = {pair: round(contrast(theme[pair[0]], theme[pair[1]]), 2) for pair, _ in wanted}
    assert {pair: found[pair] for pair, least in wanted if found[pair] < least} == {}


def test_both_themes_have_the_same_colours() -> None:
    assert LIGHT.keys() == DARK.keys()
