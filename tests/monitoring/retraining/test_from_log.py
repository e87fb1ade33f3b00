"""Labelled rows of the request log become rows of the table: once, by its contract, on their side of the split."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from platform_lib.data.dataset import find_contract
from platform_lib.data.imports.plan import ImportRequest, plan_import
from platform_lib.data.imports.staging import write_import
from platform_lib.data.logged_rows import LOG_FILE, MODEL_VERSION, REQUEST, logged_rows
from platform_lib.data.splits import holdout_mask
from platform_lib.errors import NotFound, UsageError
from platform_lib.monitoring.config import MonitorConfig
from platform_lib.monitoring.retraining.from_log import FromLog, plan_from_log
from platform_lib.serving.request_log.files import LogFolder
from platform_lib.settings import Project
from tests.conftest import Called
from tests.data.conftest import bare, write
from tests.monitoring.logs import END, log_in, sample, write_day, write_labels

__all__ = ["bare", "write"]  # fixtures

SINCE = END - timedelta(days=30)


def imported(project: Project, write: Callable[..., Path], *, id_column: str | None = None) -> pd.DataFrame:
    """Import 200 rows as the table `loans`."""
    frame, _, truth = sample(200, seed=1)
    frame = frame.assign(paid=truth)
    if id_column:
        frame.insert(0, id_column, [f"c{i}" for i in range(len(frame))])
    file = write(frame.to_csv(index=False), "loans.csv")
    plan = plan_import(project, ImportRequest(file=file, target="paid", id=id_column))
    write_import(project, plan.contract, plan.table)
    return frame


def planned(project: Project, log: LogFolder, config: MonitorConfig | None = None, **options: Path) -> FromLog:
    contract = find_contract(project, "loans")
    return plan_from_log(project, contract, log, config or MonitorConfig(), since=SINCE, **options)


def append(project: Project, log: LogFolder) -> FromLog:
    found = planned(project, log)
    if found.plan is not None:
        write_import(project, found.plan.contract, found.plan.table)
    return found


def test_a_row_is_appended_once_when_its_label_has_come(
    bare: Project, write: Callable[..., Path], tmp_path: Path
) -> None:
    before, log = imported(bare, write), log_in(tmp_path)
    frame, predictions, truth = sample(20, seed=2)
    ids = write_day(log, 3, frame, predictions, model="bare")
    write_labels(log, ids[:12], truth[:12].tolist(), after=timedelta(hours=1), day=3)

    first, second = append(bare, log), append(bare, log)
    write_labels(log, ids[10:], truth[10:].tolist(), after=timedelta(hours=9), day=2)
    third = append(bare, log)

    assert [(found.added, found.present, found.unlabelled) for found in (first, second, third)] == [
        (12, 0, 8),
        (0, 12, 8),
        (8, 12, 0),
    ]
    table = parquet.read_table(bare.root / "data" / "loans.parquet").to_pandas()
    assert len(table) == 220
    assert table[REQUEST].isna().tolist() == [True] * 200 + [False] * 20
    assert table[REQUEST].dropna().tolist() == [f"{request}/0" for request in ids]
    assert set(table[MODEL_VERSION].dropna()) == {"3"}
    np.testing.assert_allclose(table["income"].to_numpy(), [*before["income"], *frame["income"]])
    assert table["paid"].tolist() == [*before["paid"], *truth]
    origin = logged_rows(bare.root / "data" / "loans.parquet")
    assert (origin.rows, origin.files) == (20, (table[LOG_FILE].iloc[-1],))
    assert (Path(log.path) / origin.files[0]).is_file()
    assert str(origin) == f"20 from {origin.files[0]}"


def test_rows_of_an_imported_table_have_no_origin_in_the_log(bare: Project, write: Callable[..., Path]) -> None:
    imported(bare, write)
    assert str(logged_rows(bare.root / "data" / "loans.parquet")) == ""


def test_no_row_changes_its_side_and_a_copy_of_a_held_out_row_is_held_out(
    bare: Project, write: Callable[..., Path], tmp_path: Path
) -> None:
    before, log = imported(bare, write), log_in(tmp_path)
    contract = find_contract(bare, "loans")
    old = holdout_mask(before, contract)
    _, predictions, _ = sample(200, seed=3)
    ids = write_day(log, 3, before.drop(columns="paid"), predictions, model="bare")
    write_labels(log, ids, before["paid"].tolist(), after=timedelta(hours=1), day=3)

    found = append(bare, log)

    assert found.plan is not None
    new = holdout_mask(found.plan.table.to_pandas(), found.plan.contract)
    assert new.tolist() == [*old, *old]


def test_the_contract_grows_with_the_rows_and_later_files_can_be_appended(
    bare: Project, write: Callable[..., Path], tmp_path: Path
) -> None:
    imported(bare, write)
    log = log_in(tmp_path)
    frame, predictions, _ = sample(4, seed=2)
    frame["income"] = [50.0, 1.0, 2.0, 3.0]
    ids = write_day(log, 3, frame.assign(plan="c"), predictions, model="bare")
    write_labels(log, ids, ["yes"] * 4, after=timedelta(hours=1), day=3)

    append(bare, log)
    file = write("income,plan,paid\n0.5,c,no\n", "more.csv")
    more = plan_import(bare, ImportRequest(file=file, name="loans", mode="append"))

    columns = find_contract(bare, "loans").columns
    assert (columns["income"].max, columns["plan"].allowed) == (50.0, ["a", "b", "c"])
    assert more.table[REQUEST].to_pylist()[-2:] == [f"{ids[-1]}/0", None]


def test_what_does_not_fit_is_left_out_and_counted(bare: Project, write: Callable[..., Path], tmp_path: Path) -> None:
    imported(bare, write)
    log = log_in(tmp_path)
    frame, predictions, _ = sample(6, seed=2)
    frame.loc[4, "income"] = None
    ids = write_day(log, 3, frame, predictions, model="bare")
    write_day(log, 2, frame, predictions, model="another-model")
    labels = ["yes", "maybe", "no", "", "yes"]
    write_labels(log, [*ids[:3], ids[2], ids[4]], labels, after=timedelta(hours=1), day=3)

    found = planned(bare, log)

    assert (found.added, found.unlabelled, found.unusable, found.incomplete) == (1, 2, 2, 1)
    assert found.plan is not None
    assert found.plan.table["paid"].to_pylist()[200:] == ["yes"]


@pytest.mark.parametrize(
    ("weights", "added"), [({}, 300), ({"yes": 0.0}, 155), ({"other": 0.0}, 0), ({"no": 1.0, "other": 0.0}, 155)]
)
def test_rows_that_the_model_influenced_can_be_left_out(
    bare: Project, write: Callable[..., Path], tmp_path: Path, weights: dict[str, float], added: int
) -> None:
    imported(bare, write)
    log = log_in(tmp_path)
    frame, predictions, truth = sample(300, seed=2)
    assert (predictions.values == "no").sum() == 155
    write_labels(log, write_day(log, 3, frame, predictions, model="bare"), truth.tolist(), after=timedelta(hours=1))

    found = planned(bare, log, MonitorConfig(log_weights=weights))

    assert (found.added, found.left_out) == (added, 300 - added)


def test_a_weight_takes_that_share_of_the_rows_and_the_same_ones_each_time(
    bare: Project, write: Callable[..., Path], tmp_path: Path
) -> None:
    imported(bare, write)
    log = log_in(tmp_path)
    config = MonitorConfig(log_weights={"other": 0.25})
    taken = []
    for day in (3, 2):
        frame, predictions, truth = sample(1000, seed=day)
        ids = write_day(log, day, frame, predictions, model="bare")
        write_labels(log, ids, truth.tolist(), after=timedelta(hours=1), day=day)
        found = planned(bare, log, config)
        assert found.plan is not None
        taken.append(found.plan.table[REQUEST].to_pylist()[200:])

    assert 200 < len(taken[0]) < 300
    assert [request for request in taken[1] if request.startswith("3-3-")] == taken[0]


def test_columns_that_are_not_logged_come_from_a_file(
    bare: Project, write: Callable[..., Path], tmp_path: Path
) -> None:
    imported(bare, write, id_column="customer")
    log = log_in(tmp_path)
    frame, predictions, truth = sample(3, seed=2)
    ids = write_day(log, 3, frame, predictions, model="bare")
    write_labels(log, ids, truth.tolist(), after=timedelta(hours=1), day=3)

    with pytest.raises(UsageError, match=r"the request log does not have the column customer, .* --with"):
        planned(bare, log)
    found = planned(bare, log, further=write(f"request_id,customer\n{ids[2]},c7\n{ids[0]},x1\n", "ids.csv"))

    assert (found.added, found.incomplete) == (2, 1)
    assert found.plan is not None
    assert found.plan.table["customer"].to_pylist()[200:] == ["x1", "c7"]


def test_a_request_id_that_was_used_twice_gives_one_row(
    bare: Project, write: Callable[..., Path], tmp_path: Path
) -> None:
    imported(bare, write)
    log = log_in(tmp_path)
    frame, predictions, _ = sample(2, seed=2)
    ids = write_day(log, 3, frame, predictions, model="bare")
    twice = log.read("predictions").set_column(0, "request_id", pa.array([ids[0]] * 2))
    log.write("predictions", twice, END, sequence=7)
    write_labels(log, ids, ["yes", "no"], after=timedelta(hours=1), day=3)

    assert planned(bare, log).added == 2


def test_a_model_without_rows_is_named(bare: Project, write: Callable[..., Path], tmp_path: Path) -> None:
    imported(bare, write)
    log = log_in(tmp_path)
    frame, predictions, _ = sample(2, seed=2)
    write_day(log, 3, frame, predictions, model="bare")
    with pytest.raises(NotFound, match="the request log has no rows of 'other' in this period"):
        planned(replace(bare, name="other"), log)


def test_the_command_says_what_became_of_the_rows(
    bare: Project, write: Callable[..., Path], tmp_path: Path, call_mlp: Callable[..., Called]
) -> None:
    imported(bare, write)
    log = log_in(tmp_path)
    frame, predictions, truth = sample(20, seed=2)
    ids = write_day(log, 3, frame, predictions, model="bare")
    write_labels(log, ids[:12], truth[:12].tolist(), after=timedelta(hours=1), day=3)
    command = ("data", "from-log", "--since", "500w", "--log", log.path)

    tried, done = call_mlp(bare, *command, "--dry-run").out, call_mlp(bare, *command).out
    again = call_mlp(bare, *command)

    assert "12 labelled rows of the request log are new in the table 'loans'.\n- rows: 200 → 212 (12 appended)" in done
    assert "- 8 logged rows have no label yet.\n" in done
    assert tried.endswith("Nothing was written, because of --dry-run.\n")
    assert (again.code, again.out.splitlines()[0]) == (
        0,
        "0 labelled rows of the request log are new in the table 'loans'.",
    )
