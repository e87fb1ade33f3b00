"""`mlp retrain`: the version carries the reason, and is promoted only where conf/monitor.yaml says so."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from platform_lib.data.dataset import find_contract
from platform_lib.data.logged_rows import REQUEST
from platform_lib.errors import ServiceError
from platform_lib.monitoring.retraining.retrain import Reason, start
from platform_lib.registry.loading import open_registry
from platform_lib.registry.reference import parse_reference
from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder, prediction_schema
from platform_lib.settings import Project, Settings
from platform_lib.training.prefect.promotion import promote_passed
from platform_lib.training.steps import TrainingResult
from tests.conftest import Called, copy_of
from tests.monitoring.logs import write_labels


def tags(project: Project, reference: str) -> dict[str, str]:
    registry = open_registry(project, Settings())
    return dict(registry.resolve(parse_reference(reference, project.name)).tags)


def set_monitor(project: Project, key: str, value: str) -> None:
    path = project.root / "conf" / "monitor.yaml"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(f"{key}:")]
    path.write_text("\n".join([*lines, f"{key}: {value}", ""]), encoding="utf-8")


def log_labelled(project: Project, rows: int) -> None:
    """Log rows of the project's sample as the server does, with the label that they have there."""
    contract = find_contract(project)
    sample = pd.read_csv(project.root / "data" / "sample.csv").dropna().head(rows)
    now = datetime.now(UTC) - timedelta(minutes=5)
    columns: dict[str, Any] = {name: sample[name].tolist() for name in contract.features}
    for name in contract.features_of("integer"):
        columns[name] = sample[name].astype(int).tolist()
    ids = [f"r{i}" for i in range(rows)]
    fixed = {
        "request_id": ids,
        "row": [0] * rows,
        "time": [now] * rows,
        "model": [project.name] * rows,
        "version": ["1"] * rows,
        "key_name": [""] * rows,
        "latency_ms": [1.0] * rows,
        "prediction": sample[contract.target].tolist(),
        "probabilities": [None] * rows,
    }
    schema = prediction_schema({name: contract.columns[name].type for name in contract.features}, contract.task)
    log = LogFolder.at(str(project.state_dir / "log"))
    log.write(PREDICTIONS, pa.table(fixed | columns, schema=schema), now, sequence=0)
    write_labels(log, ids, sample[contract.target].tolist(), after=datetime.now(UTC) - END_OF_LOGS)


END_OF_LOGS = datetime(2026, 3, 8, tzinfo=UTC)


def test_a_reason_becomes_tags_and_what_is_empty_none() -> None:
    assert Reason(text="income has drifted", cause="drift", window="24h", alert="ModelDrift").tags() == {
        "mlp.retrain_reason": "drift: income has drifted",
        "mlp.retrain_window": "24h",
        "mlp.retrain_alert": "ModelDrift",
    }
    assert Reason(text="x" * 2000).tags() == {"mlp.retrain_reason": f"person: {'x' * 992}"}


@pytest.mark.slow
def test_a_person_gets_a_candidate_with_the_reason(
    trained: Project, tmp_path: Path, call_mlp: Callable[..., Called]
) -> None:
    project = copy_of(trained, tmp_path / "project")

    done = call_mlp(project, "retrain", "--reason", "prices changed", "--window", "May", "seed=1", "diagnostics=off")

    assert (done.code, "version 2 is registered as candidate" in done.out) == (0, True), done.err
    assert {name: tag for name, tag in tags(project, "@candidate").items() if "retrain" in name} == {
        "mlp.retrain_reason": "person: prices changed",
        "mlp.retrain_window": "May",
    }
    assert open_registry(project, Settings()).resolve(parse_reference("@champion", project.name)).version == "1"


@pytest.mark.slow
def test_an_alert_gets_a_champion_trained_on_new_rows_where_the_project_says_so(
    trained: Project, tmp_path: Path
) -> None:
    project = copy_of(trained, tmp_path / "project")
    set_monitor(project, "promote", "auto")
    set_monitor(project, "new_rows", "7d")
    log_labelled(project, 30)

    started = start(project, Settings(), Reason(text="it drifted", cause="drift", alert="ModelDrift"), "key")

    assert started.outcome == "the new version passed the gate"
    champion = tags(project, "@champion")
    assert champion["mlp.retrain_alert"] == "ModelDrift"
    assert champion["mlp.logged_rows"].startswith("30 from predictions/date=")
    table = parquet.read_table(project.root / find_contract(project).path)
    assert table[REQUEST].to_pylist()[-1] == "r29/0"


def test_prefect_being_down_is_an_error_that_can_be_tried_again(project: Project) -> None:
    settings = Settings(prefect_api_url="http://127.0.0.1:9/api")
    with pytest.raises(ServiceError, match="Prefect does not answer"):
        start(project, settings, Reason(text="x"), "key")


def test_an_empty_reason_is_refused(project: Project, call_mlp: Callable[..., Called]) -> None:
    done = call_mlp(project, "retrain", "--reason", " ")
    assert (done.code, "--reason is empty" in done.err) == (2, True)


def test_a_registry_that_refuses_the_promotion_leaves_a_notice(trained: Project) -> None:
    nothing = cast(Any, None)
    gone = TrainingResult(
        name=trained.name,
        version="99",
        run_id="",
        passed=True,
        promoted=False,
        champion_before="1",
        evaluation=nothing,
        verdict=nothing,
    )

    result = promote_passed(open_registry(trained, Settings()), gone)

    assert not result.promoted
    assert result.notices[0].startswith("The registry did not allow the promotion: ")
