"""The page of a monitoring report: what it says, and that it shows what the report holds."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from platform_lib.monitoring.config import MonitorConfig
from platform_lib.monitoring.content import MonitorReport
from platform_lib.monitoring.page.render import render_report
from platform_lib.monitoring.report import build_report
from platform_lib.monitoring.windows import divide
from tests.monitoring.logs import END, log_in, monitored, sample, write_day, write_labels


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> MonitorReport:
    """Four days; the inputs shift after the second, the last day has no labels yet."""
    folder = log_in(tmp_path_factory.mktemp("log"))
    for day in (4, 3, 2, 1):
        frame, predictions, truth = sample(300, day, shift=1.5 if day <= 2 else 0.0)
        ids = write_day(folder, day, frame, predictions)
        if day > 1:
            write_labels(folder, ids, truth.tolist(), after=timedelta(hours=30), day=day)
    windows = divide(timedelta(days=4), timedelta(days=1), END)
    return build_report(folder, monitored(), MonitorConfig(min_rows=200), windows)


def charts(page: str) -> dict[str, str]:
    """Title of each chart, and what it says to those who do not see it."""
    found = [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]
    return {chart.findtext("title") or "": chart.findtext("desc") or "" for chart in found}


def test_it_says_which_column_drifted_since_when_and_how_far(shifted: MonitorReport) -> None:
    page = render_report(shifted)
    assert "A limit was crossed" in page
    row = re.search(r'<th scope="row">income</th>.*?</tr>', page, re.DOTALL)
    assert row is not None
    assert "drifted" in row[0] and "2026-03-06 00:00" in row[0]
    income = next(column for column in shifted.columns if column.name == "income")
    assert f"{income.windows[-1]:.3f}" in row[0]


def test_it_draws_both_distributions_the_windows_and_the_score(shifted: MonitorReport) -> None:
    found = charts(render_report(shifted))
    assert {f"Distribution of {name}" for name in ("prediction", "income", "plan")} <= {*found}
    assert re.search(r"yes: 5\d\.\d% before, 9\d\.\d% live", found["Distribution of prediction"])
    assert found["PSI of income per window"].count("2026-03-0") == 4
    assert "95 % intervals" in found["Score over time"]


def test_an_estimate_is_called_one_and_says_what_it_assumes(shifted: MonitorReport) -> None:
    page = render_report(shifted)
    assert "accuracy as estimated" in page
    assert "It cannot see that the meaning of the inputs changed." in page


def test_names_and_values_are_escaped(shifted: MonitorReport) -> None:
    bad = "<script>alert(1)</script>"
    column = msgspec.structs.replace(shifted.columns[1], name=bad, labels=[bad] * len(shifted.columns[1].labels))
    page = render_report(msgspec.structs.replace(shifted, model=bad, columns=[shifted.columns[0], column]))
    assert "<script" not in page


def test_a_quiet_version_without_labels_and_held_out_rows_has_a_page_too(tmp_path: Path) -> None:
    folder = log_in(tmp_path)
    write_day(folder, 1, *sample(30, 1)[:2])
    windows = divide(timedelta(days=2), timedelta(days=1), END)
    version = replace(monitored(), reference=None)
    page = render_report(build_report(folder, version, MonitorConfig(), windows))
    assert "No limit was crossed" in page
    assert "Score over time" not in page
    assert 'id="joint"' not in page
