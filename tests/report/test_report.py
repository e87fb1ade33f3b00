"""The report of a version: its numbers, what it leaves out, and that it stands alone."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    log_loss,
    roc_auc_score,
    roc_curve,
)

from platform_lib.data.frame import feature_frame, target_values
from platform_lib.project import load_model
from platform_lib.registry import open_registry
from platform_lib.report.svg import Scale
from platform_lib.settings import Project, Settings
from platform_lib.training.config.compose import compose
from platform_lib.training.documents import report as documents
from platform_lib.training.run import train
from platform_lib.training.steps import Split, TrainingResult, split_rows
from tests.conftest import Called, copy_of
from tests.report.reading import Page

BIGGEST = 3_000_000


def held_out(project: Project) -> Split:
    from platform_lib.data.dataset import load_dataset

    config = compose(project, []).config
    return split_rows(load_dataset(project, config.data), config)


@pytest.fixture(scope="module")
def project(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return copy_of(trained, tmp_path_factory.mktemp("report") / "project")


@pytest.fixture(scope="module")
def second(project: Project) -> TrainingResult:
    """A forest that the gate refused, compared with the champion, with slices."""
    options = (
        "model=forest",
        "model.params.n_estimators=5",
        "slices=[island]",
        "gate.thresholds.balanced_accuracy=1.1",
    )
    return train(project, Settings(), options)


@pytest.fixture(scope="module")
def text(project: Project, second: TrainingResult, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The champion's report."""
    registry = open_registry(project, Settings())
    file = tmp_path_factory.mktemp("out") / "report.html"
    documents.write_report(registry, registry.resolve("sample-model/1"), file)
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


@pytest.fixture(scope="module")
def rows(project: Project) -> dict[str, Any]:
    model = load_model("sample-model/1", project)
    split = held_out(project)
    predictions = model.predict(split.table[split.held_out])
    truth = target_values(split.table[split.held_out], model.contract)
    assert len(feature_frame(split.table[split.held_out], model.contract)) == len(truth)
    return {
        "truth": truth,
        "said": predictions.values,
        "shares": predictions.probabilities,
        "classes": predictions.classes,
    }


class TestNumbers:
    """They equal scikit-learn's on the same rows."""

    def test_metrics(self, page: Page, rows: dict[str, Any]) -> None:
        shown = {name: cells[0] for name, cells in page.rows("Metrics on 55 held-out rows").items()}

        assert shown["accuracy"] == f"{accuracy_score(rows['truth'], rows['said']):.4f}"
        assert shown["log_loss"] == f"{log_loss(rows['truth'], rows['shares'], labels=rows['classes']):.4f}"
        area = roc_auc_score(rows["truth"], rows["shares"], multi_class="ovr", labels=rows["classes"])
        assert shown["roc_auc"] == f"{area:.4f}"

    def test_the_model_card(self, page: Page) -> None:
        assert page.rows("What people must know")["owner"] == ["tests"]

    def test_confusion_matrix(self, page: Page, rows: dict[str, Any]) -> None:
        shown = [[int(cell) for cell in cells[:-1]] for cells in page.rows("Confusion matrix").values()]

        assert shown == confusion_matrix(rows["truth"], rows["said"], labels=rows["classes"]).tolist()

    def test_areas_of_each_class(self, page: Page, rows: dict[str, Any]) -> None:
        shown = {name: cells[2:4] for name, cells in page.rows("Each class against all others").items()}

        for number, label in enumerate(rows["classes"]):
            is_label, share = rows["truth"] == label, rows["shares"][:, number]
            assert shown[str(label)] == [
                f"{roc_auc_score(is_label, share):.4f}",
                f"{average_precision_score(is_label, share):.4f}",
            ]

    def test_every_drawn_point_of_the_roc_curve_is_one_of_scikit_learns(self, text: str, rows: dict[str, Any]) -> None:
        lines = drawn(text, "ROC curve", "line s1")
        number = list(rows["classes"]).index("Adelie")
        fpr, tpr, _ = roc_curve(rows["truth"] == "Adelie", rows["shares"][:, number], drop_intermediate=False)

        assert len(lines) > 3
        distance = [np.hypot(fpr - x, tpr - y).min() for x, y in lines]
        assert max(distance) < 1e-3  # a tenth of a pixel


def drawn(text: str, title: str, kind: str) -> list[tuple[float, float]]:
    """Points of a line of a chart whose axes go from 0 to 1, as values."""
    charts = [fromstring(found) for found in re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)]
    [chart] = [each for each in charts if each[0].text == title]
    [line] = [each for each in chart.iter("polyline") if each.get("class") == kind]
    axis = [each for each in chart.iter("line") if each.get("class") == "axis"]
    x = Scale(low=float(axis[0].get("x1", "")), high=float(axis[0].get("x2", "")), start=0, end=1)
    y = Scale(low=float(axis[1].get("y1", "")), high=float(axis[1].get("y2", "")), start=0, end=1)
    return [(x(a), 1 - _from_top(y, b)) for a, b in _points(line)]


def _points(line: Element) -> list[tuple[float, float]]:
    pairs = [point.split(",") for point in line.get("points", "").split()]
    return [(float(a), float(b)) for a, b in pairs]


def _from_top(y: Scale, value: float) -> float:
    low, high = sorted((y.low, y.high))
    return (value - low) / (high - low)


def test_it_is_one_small_file_that_loads_nothing_and_runs_nothing(text: str, page: Page) -> None:
    assert len(text.encode()) < BIGGEST
    assert "default-src 'none'" in text
    assert not {"script", "iframe", "img", "object", "base"} & {tag for tag, _ in page.tags}
    addresses = [attributes.get("href", attributes.get("src", "")) for _, attributes in page.tags]
    assert {address[:1] for address in addresses if address} == {"#", "d"}
    assert [address for address in addresses if address.startswith("d")] == ["data:,"]
    assert "url(" not in text
    assert "@import" not in text


def test_it_is_well_formed_with_headings_captions_titles_and_unique_ids(page: Page) -> None:
    assert page.wrong == []
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert set(levels[1:]) == {2}
    counts = [tag for tag, _ in page.tags]
    assert counts.count("table") == counts.count("caption") == len(page.tables)
    assert all(page.tables)
    assert len(page.titles) == counts.count("svg") > 0
    assert all(page.titles)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for tag, attributes in page.tags if tag == "a"}
    assert targets <= set(ids)


def test_the_verdict_comes_first_with_its_reasons(project: Project, second: TrainingResult) -> None:
    page = stored(second)

    assert page.index("Refused by the gate") < page.index("<h2")
    for reason in second.verdict.reasons:
        assert reason in page
    assert "<title>sample-model version 2: refused by the gate</title>" in page


def stored(result: TrainingResult) -> str:
    assert result.report is not None
    return Path(result.report.removeprefix("file://")).read_text(encoding="utf-8")


def test_the_report_of_a_training_is_kept_with_its_run_and_compares_with_the_champion(second: TrainingResult) -> None:
    page = Page(stored(second))
    [caption] = [title for title in page.tables if title.startswith("Metrics on")]

    assert caption == "Metrics on 55 held-out rows, compared with version 1, the champion then (LogisticRegression)"
    assert "Gain over the champion" in page.titles
    [differs] = [rows for title, rows in page.tables.items() if title == "Configuration: what differs"]
    assert ["model.name", "logistic", "forest"] in differs


def test_it_says_so_if_the_run_has_no_diagnostics_and_shows_what_there_is(project: Project) -> None:
    page = stored(train(project, Settings(), ("diagnostics=off", "gate.delta=1")))

    assert "This run has no diagnostics" in page
    assert "Confusion matrix" in page
    assert "ROC" not in page


def test_a_regression_has_its_own_charts(trained_regression: Project, tmp_path: Path) -> None:
    registry = open_registry(trained_regression, Settings())
    file = documents.write_report(registry, registry.resolve("sample-model@champion"), tmp_path / "r.html")
    page = Page(file.read_text(encoding="utf-8"))

    assert {"Actual against predicted", "Residuals", "Residuals by prediction"} <= set(page.titles)
    assert page.wrong == []


def test_every_class_and_every_part_of_the_diagnostics_is_on_the_page(page: Page) -> None:
    assert {"Permutation importance", "Partial dependence on bill_length_mm", "Calibration"} <= set(page.titles)
    assert "Rows with the largest errors" in page.tables


def test_names_and_values_of_the_table_are_shown_as_texts(tmp_path: Path, generate: Callable[..., Project]) -> None:
    """And values of private columns are not shown at all."""
    project = generate(tmp_path / "project")
    mark = "<b onclick=x>&Chinstrap"
    sample = project.data_dir / "sample.csv"
    sample.write_text(
        sample.read_text(encoding="utf-8").replace("Chinstrap", mark).replace("Dream", "Secretary"), encoding="utf-8"
    )
    contract = project.conf_dir / "data" / "sample.yaml"
    said = contract.read_text(encoding="utf-8").replace("Chinstrap", f'"{mark}"').replace("Dream", "Secretary")
    contract.write_text(re.sub(r"(  island:\n    type: string\n)", r"\1    log: false\n", said), encoding="utf-8")
    assert "log: false" in contract.read_text(encoding="utf-8")

    text = stored(train(project, Settings(), ("slices=[island]",)))

    assert mark not in text
    assert "&lt;b onclick=x&gt;&amp;Chinstrap" in text
    assert "Secretary" not in text
    assert Page(text).wrong == []


def test_a_report_that_fails_loses_no_version(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(content: object) -> str:
        raise ValueError("no page today")

    monkeypatch.setattr(documents, "render", broken)
    result = train(project, Settings(), ("seed=5", "gate.delta=1"))

    assert result.report is None
    assert "The report was not stored (ValueError: no page today); `mlp report` makes one." in result.notices
    assert open_registry(project, Settings()).resolve(f"sample-model/{result.version}").passed_gate


class TestCommand:
    def test_it_writes_a_file_and_prints_where(
        self, project: Project, second: TrainingResult, call_mlp: Callable[..., Called], tmp_path: Path
    ) -> None:
        done = call_mlp(project, "report", "2", "--compare", "1", "--out", str(tmp_path / "r.html"))

        assert (done.code, done.out.strip()) == (0, str(tmp_path / "r.html"))
        captions = Page((tmp_path / "r.html").read_text(encoding="utf-8")).tables
        assert any(caption.endswith("compared with version 1 (LogisticRegression)") for caption in captions)

    def test_by_default_it_is_the_champions_in_the_projects_state(
        self, project: Project, second: TrainingResult, call_mlp: Callable[..., Called]
    ) -> None:
        file = Path(call_mlp(project, "report").out.strip())

        assert file.parent == project.state_dir / "reports"
        assert "champion when this report was made" in file.read_text(encoding="utf-8")

    def test_an_unknown_version_and_a_missing_folder_are_refused(
        self, project: Project, call_mlp: Callable[..., Called], tmp_path: Path
    ) -> None:
        assert call_mlp(project, "report", "99").code == 2
        done = call_mlp(project, "report", "--out", str(tmp_path / "missing" / "r.html"))
        assert done.code == 2
        assert "does not exist: create it first" in done.err

    def test_train_and_show_print_its_address(
        self, project: Project, second: TrainingResult, call_mlp: Callable[..., Called]
    ) -> None:
        assert f"Report: {second.report}" in call_mlp(project, "models", "show", "2").out
        said = json.loads(call_mlp(project, "train", "--json", "seed=7", "gate.delta=1").out)
        assert Path(said["report"].removeprefix("file://")).is_file()
