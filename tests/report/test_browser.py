"""Reports in a real browser: nothing leaves the machine, nothing fails, and axe-core finds no fault in either theme."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from importlib.resources import files
from pathlib import Path

import pytest

from platform_lib.monitoring.config import MonitorConfig
from platform_lib.monitoring.page.render import render_report
from platform_lib.monitoring.report import build_report
from platform_lib.monitoring.windows import divide
from platform_lib.registry import open_registry
from platform_lib.settings import Project, Settings
from platform_lib.training.documents.report import write_report
from platform_lib.training.run import train
from tests.browser import browser, visit
from tests.conftest import copy_of
from tests.monitoring.logs import END, log_in, priced, prices, write_day, write_labels

pytestmark = pytest.mark.slow
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


@pytest.fixture(scope="module", autouse=True)
def _needs_a_browser() -> None:
    browser()


@pytest.fixture(scope="module")
def reports(trained: Project, trained_regression: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A refused version that is compared with the champion, and a regression."""
    folder = tmp_path_factory.mktemp("reports")
    project = copy_of(trained, folder / "project")
    options = (
        "model=forest",
        "model.params.n_estimators=5",
        "slices=[island]",
        "gate.thresholds.balanced_accuracy=1.1",
    )
    version = train(project, Settings(), options).version
    made = {}
    for name, of, reference in (("classes", project, version), ("numbers", trained_regression, "1")):
        registry = open_registry(of, Settings())
        record = registry.resolve(f"sample-model/{reference}")
        made[name] = write_report(registry, record, folder / f"{name}.html")
    made["monitoring"] = _monitoring(folder)
    return made


def _monitoring(folder: Path) -> Path:
    """The page of a monitoring report with drift, a live score, an estimate and notes."""
    log = log_in(folder)
    for day in (3, 2, 1):
        frame, predictions, truth = prices(300, day, shift=1.5 if day <= 2 else 0.0)
        ids = write_day(log, day, frame, predictions)
        write_labels(log, ids[:200], [str(value) for value in truth[:200]], after=timedelta(hours=3), day=day)
    windows = divide(timedelta(days=3), timedelta(days=1), END)
    page = folder / "monitoring.html"
    page.write_text(render_report(build_report(log, priced(), MonitorConfig(min_rows=200), windows)), encoding="utf-8")
    return page


@pytest.mark.parametrize("name", ["classes", "numbers", "monitoring"])
def test_it_asks_for_nothing_and_reports_nothing(reports: dict[str, Path], tmp_path: Path, name: str) -> None:
    seen = visit(reports[name].as_uri(), tmp_path)

    assert "</html>" in seen.shown
    assert (seen.requests, seen.messages) == ([], [])


def test_a_page_that_loads_something_is_noticed(reports: dict[str, Path], tmp_path: Path) -> None:
    text = POLICY.sub("", reports["classes"].read_text(encoding="utf-8"))
    page = tmp_path / "page.html"
    page.write_text(text.replace("</main>", "<img src=http://127.0.0.1:9/x.png></main>"), encoding="utf-8")

    assert visit(page.as_uri(), tmp_path).requests == ["http://127.0.0.1:9/x.png"]


def faults(page: Path, folder: Path, *, dark: bool, width: int = 1280, change: Callable[[str], str] = str) -> list[str]:
    """Rule and element of each fault that axe-core finds; the page's own policy would not let it run."""
    script = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    run = (
        "axe.run(document).then(found => { document.body.innerHTML = '<pre id=found></pre>';"
        "document.getElementById('found').textContent = JSON.stringify({"
        "faults: found.violations.flatMap(each => each.nodes.map(node => each.id + ': ' + node.html.slice(0, 200))),"
        "fine: found.passes.filter(each => each.nodes.length).map(each => each.id)}); })"
    )
    text = change(POLICY.sub("", page.read_text(encoding="utf-8")))
    text = text.replace("<details>", "<details open>")
    copy = folder / "checked.html"
    copy.write_text(
        text.replace("</body>", f"<script>{script}</script><script>{run}</script></body>"), encoding="utf-8"
    )
    shown = visit(copy.as_uri(), folder, dark=dark, width=width).shown
    found = re.search(r'<pre id="found">(.*?)</pre>', shown, re.DOTALL)
    assert found is not None, shown[-2000:]
    said = json.loads(unescape(found[1]))
    assert {"color-contrast", "heading-order", "svg-img-alt"} <= {
        *said["fine"],
        *(fault.partition(":")[0] for fault in said["faults"]),
    }, "these rules did not run"
    return list(said["faults"])


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["classes", "monitoring"])
def test_axe_core_finds_no_fault(reports: dict[str, Path], tmp_path: Path, name: str, dark: bool) -> None:
    assert faults(reports[name], tmp_path, dark=dark) == []


@pytest.mark.parametrize("name", ["numbers", "monitoring"])
def test_axe_core_finds_no_fault_on_a_phone(reports: dict[str, Path], tmp_path: Path, name: str) -> None:
    assert faults(reports[name], tmp_path, dark=False, width=390) == []


def test_axe_core_finds_a_faint_text(reports: dict[str, Path], tmp_path: Path) -> None:
    found = faults(
        reports["numbers"],
        tmp_path,
        dark=True,
        change=lambda text: text.replace("--muted: #a3b0bd", "--muted: #3a4048"),
    )

    assert {rule.partition(":")[0] for rule in found} == {"color-contrast"}
