"""`mlp sweep`: its output, its records in MLflow, and its exit codes."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from platform_lib.settings import Project, Settings, tracking_uri
from platform_lib.training.config.compose import compose
from tests.conftest import run_mlp

FAST = ("search.folds=2", "--jobs", "1")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, generate: Callable[..., Project]) -> Project:
    """One project for all tests; each sweep has its own run."""
    return generate(tmp_path_factory.mktemp("sweep") / "project")


def _runs(project: Project) -> tuple[Any, list[Any]]:
    """The run of the last sweep and its child runs, oldest first."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri(project, Settings()))
    experiment = client.get_experiment_by_name(project.name)
    assert experiment is not None
    parent = client.search_runs(
        [experiment.experiment_id], "tags.`mlp.kind` = 'sweep'", order_by=["attributes.start_time DESC"]
    )[0]
    below = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    return parent, client.search_runs([experiment.experiment_id], below, order_by=["attributes.start_time ASC"])


@pytest.mark.slow
def test_a_sweep_prints_the_best_trial_first_and_the_command_that_trains_it(project: Project) -> None:
    done = run_mlp(project, "sweep", "model=logistic,forest", "--trials", "4", *FAST)
    lines = done.stdout.splitlines()
    assert lines[0].split() == [
        "trial",
        "balanced_accuracy",
        "±",
        "folds",
        "model",
        "C",
        "n_estimators",
        "min_samples_leaf",
    ]
    scores = [float(line.split()[1]) for line in lines[1:5]]
    assert scores == sorted(scores, reverse=True)
    assert lines[5].startswith("4 trials, 0 failed; 2 folds of the training rows; MLflow run ")
    assert lines[6] == "Train the best with:"
    assert lines[7].startswith("  mlp train model=")
    assert compose(project, shlex.split(lines[7])[2:]).config.model.name == lines[1].split()[3]
    assert "\x1b" not in done.stdout + done.stderr
    shown = [re.match(r"(\d/4), .*: trial +(\d): ", line) for line in done.stderr.splitlines() if ": trial " in line]
    assert [found.groups() for found in shown if found] == [(f"{n}/4", str(n)) for n in (1, 2, 3, 4)]

    parent, tries = _runs(project)
    assert (parent.info.status, parent.data.tags["mlp.ended"]) == ("FINISHED", "finished")
    assert parent.data.metrics["cv.balanced_accuracy"] == pytest.approx(max(scores), abs=1e-4)
    assert parent.data.tags["mlp.best_overrides"] == lines[7].removeprefix("  mlp train ")
    assert [run.info.status for run in tries] == ["FINISHED"] * 4
    assert {"cv.balanced_accuracy", "cv.balanced_accuracy.std", "seconds"} == set(tries[0].data.metrics)
    assert (tries[0].data.params["model"], tries[0].data.params["model.params.C"]) == ("logistic", "1.0")


@pytest.mark.slow
def test_failed_trials_are_recorded_and_if_all_fail_there_is_one_sentence(project: Project) -> None:
    done = run_mlp(
        project, "sweep", "++search.space.logistic={C: {type: choice, choices: [-1.0, -2.0]}}", *FAST, expect=1
    )
    assert (
        "error: all 2 tries failed, the first with: InvalidParameterError: The 'C' parameter of LogisticRegression"
        in done.stderr
    )
    assert done.stdout == ""
    parent, tries = _runs(project)
    assert parent.info.status == "FAILED"
    assert [run.info.status for run in tries] == ["FAILED", "FAILED"]
    assert "'C' parameter" in tries[0].data.tags["mlp.reason"]


@pytest.mark.slow
def test_the_best_trial_is_trained_on_request(project: Project) -> None:
    done = run_mlp(project, "sweep", "--trials", "2", *FAST, "--train")
    assert "sample-model version 1" in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send Ctrl-C to one child alone")
def test_ctrl_c_keeps_the_finished_trials_and_ends_the_run(project: Project) -> None:
    command = [
        sys.executable,
        "-m",
        "platform_lib.cli",
        "sweep",
        "model=forest",
        "--trials",
        "500",
        "search.folds=2",
        "--jobs",
        "2",
    ]
    process = subprocess.Popen(
        command,
        cwd=project.root,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if ": trial " in line:
            os.killpg(process.pid, signal.SIGINT)
            break
    printed, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "trials: stopped." in said
    assert "  mlp train model=forest" in printed
    parent, tries = _runs(project)
    assert (parent.info.status, parent.data.tags["mlp.ended"]) == ("KILLED", "interrupt")
    assert tries and all(run.info.status == "FINISHED" for run in tries)


def test_a_mistake_is_reported_in_one_sentence_before_anything_is_recorded(project: Project) -> None:
    before = project.database.exists()
    done = run_mlp(project, "sweep", "model=logistic,forrest", expect=2)
    assert (
        done.stderr.splitlines()[-1]
        == "error: there is no model 'forrest': conf/model has boosting, catboost, forest, lightgbm, logistic, xgboost. Did you mean 'forest'?"
    )
    assert project.database.exists() == before
