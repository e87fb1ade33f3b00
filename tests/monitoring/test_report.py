"""The report from a request log: drift, live score, estimate, joins of labels, versions."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from platform_lib.errors import NotFound
from platform_lib.monitoring.config import MonitorConfig
from platform_lib.monitoring.content import Monitored, MonitorReport
from platform_lib.monitoring.report import build_report
from platform_lib.monitoring.windows import divide
from platform_lib.serving.request_log.compaction import compact
from platform_lib.serving.request_log.files import LABELS, PREDICTIONS, LogFolder
from tests.monitoring.logs import END, log_in, monitored, priced, prices, sample, write_day, write_labels

CONFIG = MonitorConfig(min_rows=200, min_labels=50)


def report(folder: LogFolder, days: int = 4, version: Monitored | None = None) -> MonitorReport:
    made = build_report(folder, version or monitored(), CONFIG, divide(timedelta(days=days), timedelta(days=1), END))
    assert msgspec.json.decode(msgspec.json.encode(made), type=MonitorReport) == made
    return made


def test_a_quiet_week_has_no_problem_and_says_what_is_missing(tmp_path: Path) -> None:
    folder = log_in(tmp_path)
    for day in (1, 2, 3, 4):
        write_day(folder, day, *sample(500, day)[:2])
    found = report(folder)
    assert found.problems == []
    assert found.rows == [500] * 4
    assert found.columns[0].name == "prediction"
    assert "0 rows have a label" in found.notes[0]


def test_a_shift_names_the_column_and_the_day_it_began(tmp_path: Path) -> None:
    folder = log_in(tmp_path)
    for day in (4, 3, 2, 1):
        write_day(folder, day, *sample(500, day, shift=1.5 if day <= 2 else 0.0)[:2])
    found = report(folder)
    drifted = {column.name for column in found.columns if column.drifted}
    assert "income" in drifted
    assert "plan" not in drifted
    assert next(problem for problem in found.problems if problem.startswith("income has drifted")).count("2026-03-06")


def test_the_live_score_is_that_of_scikit_learn_on_the_labelled_rows(tmp_path: Path) -> None:
    folder = log_in(tmp_path)
    frame, predictions, truth = sample(600, 7)
    ids = write_day(folder, 1, frame, predictions)
    write_labels(folder, ids[::2], truth[::2].tolist(), after=timedelta(hours=30), day=1)
    found = report(folder)
    assert found.score is not None
    assert found.score.total.labelled == 300
    assert found.score.total.score == pytest.approx(accuracy_score(truth[::2], predictions.values[::2]))
    assert found.score.label_delay_s == pytest.approx(18 * 3600, rel=0.01)


def test_rows_are_tested_and_a_shift_is_seen_by_all_features_together(tmp_path: Path) -> None:
    folder = log_in(tmp_path)
    for day in (4, 3, 2, 1):
        write_day(folder, day, *sample(300, day, shift=1.0)[:2])
    found = report(folder)
    tests = {column.name: column.test for column in found.columns}
    assert tests["income"] is not None and tests["plan"] is not None and tests["prediction"] is not None
    assert tests["income"].test == "Kolmogorov-Smirnov" and tests["income"].p_value < 1e-6
    assert tests["income"].wasserstein == pytest.approx(1.0, abs=0.1)
    assert tests["plan"].test == "chi-square" and tests["plan"].p_value > 0.01
    assert found.joint is not None and found.joint.drifted
    assert found.joint.strongest == ["income"]
    assert any("All features together have drifted" in problem for problem in found.problems)


def test_a_version_without_held_out_rows_is_compared_by_bins_and_says_so(tmp_path: Path) -> None:
    folder = log_in(tmp_path)
    write_day(folder, 1, *sample(300, 1)[:2])
    found = report(folder, version=replace(monitored(), reference=None))
    assert found.joint is None
    assert [column.test for column in found.columns] == [None] * 3
    assert "stored no held-out rows" in found.notes[0]


@pytest.mark.parametrize("moved", [0.0, 4.0])
def test_a_regression_is_estimated_from_the_errors_of_held_out_rows(tmp_path: Path, moved: float) -> None:
    """Labels decide: where the meaning of the inputs has changed, the estimate cannot know and says so."""
    folder = log_in(tmp_path)
    frame, predictions, truth = prices(1500, 5)
    ids = write_day(folder, 1, frame, predictions)
    write_labels(folder, ids, [str(value + moved) for value in truth], after=timedelta(hours=1), day=1)
    score = report(folder, version=priced()).score
    assert score.total.estimate is not None and score.total.estimate_error is not None and score.total.score is not None
    assert (abs(score.total.estimate - score.total.score) < 2 * score.total.estimate_error) is (moved == 0.0)
    assert score.held_out == pytest.approx(score.total.estimate, abs=0.1)
    assert score.fallen is (moved != 0.0)
    assert "errors are still those of similar held-out rows" in score.assumption
    assert "cannot see that the meaning" in score.assumption


def test_late_duplicate_unknown_and_unusable_labels_are_counted_and_not_scored(tmp_path: Path) -> None:
    folder = log_in(tmp_path)
    frame, predictions, _ = sample(100, 8)
    ids = write_day(folder, 1, frame, predictions)
    right = predictions.values.tolist()
    wrong = ["no" if label == "yes" else "yes" for label in right]
    write_labels(folder, ids, wrong, after=timedelta(hours=1), day=1)
    write_labels(folder, ids[:90], right[:90], after=timedelta(hours=2), day=0)
    write_labels(folder, ["nobody"], ["yes"], after=timedelta(hours=3), day=0)
    write_labels(folder, ids[90:], ["maybe"] * 10, after=timedelta(hours=4), day=0)
    found = report(folder)
    assert found.score is not None
    assert (found.score.duplicates, found.score.unknown, found.score.unusable) == (100, 1, 10)
    assert (found.score.total.labelled, found.score.total.score) == (90, 1.0)


def test_labels_of_another_version_are_neither_joined_nor_unknown(tmp_path: Path) -> None:
    folder = log_in(tmp_path)
    write_day(folder, 1, *sample(300, 9)[:2])
    others = write_day(folder, 1, *sample(60, 10)[:2], version="2")
    write_labels(folder, others, ["yes"] * 60, after=timedelta(hours=1))
    found = report(folder)
    assert found.score is not None
    assert (found.score.total.labelled, found.score.unknown) == (0, 0)
    assert [(own.version, own.rows) for own in found.traffic] == [("2", 60), ("3", 300)]


@pytest.mark.parametrize("shift", [0.0, -1.0, 1.5])
def test_the_estimate_follows_a_shift_of_the_inputs_within_its_error(tmp_path: Path, shift: float) -> None:
    misses = 0
    for seed in range(6):
        folder = LogFolder.at(str(tmp_path / f"{shift}-{seed}"))
        frame, predictions, truth = sample(2000, seed, shift=shift)
        write_day(folder, 1, frame, predictions)
        part = report(folder, version=replace(monitored(), reference=None)).score.total
        assert part.estimate is not None and part.estimate_error is not None
        misses += abs(part.estimate - accuracy_score(truth, predictions.values)) > 2 * part.estimate_error
    assert misses <= 2


def test_a_changed_meaning_is_invisible_to_the_estimate_and_seen_by_labels(tmp_path: Path) -> None:
    folder = log_in(tmp_path)
    frame, predictions, truth = sample(1000, 11)
    ids = write_day(folder, 1, frame, predictions)
    turned = np.where(truth == "yes", "no", "yes")
    turned[::2] = truth[::2]
    write_labels(folder, ids, turned.tolist(), after=timedelta(hours=1), day=1)
    found = report(folder)
    assert found.score is not None
    assert found.score.total.estimate == pytest.approx(found.score.held_out, abs=0.05)
    assert found.score.fallen
    assert any("accuracy is 0.5" in problem or "accuracy is 0.4" in problem for problem in found.problems)


def test_labelled_rows_that_are_unlike_the_others_are_named(tmp_path: Path) -> None:
    folder = log_in(tmp_path)
    frame, predictions, truth = sample(1000, 12)
    ids = np.array(write_day(folder, 1, frame, predictions))
    rich = frame["income"].to_numpy() > 0.5
    write_labels(folder, ids[rich].tolist(), truth[rich].tolist(), after=timedelta(hours=1), day=1)
    found = report(folder)
    assert found.score is not None
    assert "income" in found.score.unlike
    assert "plan" not in found.score.unlike


def test_compaction_and_the_order_of_files_change_nothing(tmp_path: Path) -> None:
    folder = log_in(tmp_path)
    for day in (2, 1):
        frame, predictions, truth = sample(300, day)
        ids = write_day(folder, day, frame, predictions)
        write_day(folder, day, *sample(20, day)[:2], version="2")
        write_labels(folder, ids, truth.tolist(), after=timedelta(hours=5), day=day)
    before = report(folder)
    for kind in (PREDICTIONS, LABELS):
        compact(folder, kind)
    assert report(folder) == before


def test_a_version_without_rows_is_refused_and_those_that_have_some_are_named(tmp_path: Path) -> None:
    folder = log_in(tmp_path)
    write_day(folder, 1, *sample(20, 1)[:2], version="2")
    with pytest.raises(NotFound, match=r"no rows of loans version 3 since .*; versions that have: 2\."):
        report(folder)
