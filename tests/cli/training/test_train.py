"""`mlp train` prints the result and exits with the code that CI reads."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from platform_lib.settings import Project
from tests.conftest import REPOSITORY, Called, copy_of


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    return copy_of(trained, tmp_path / "project")


def test_a_pass_prints_metrics_verdict_and_next_step(project: Project, call_mlp: Callable[..., Called]) -> None:
    done = call_mlp(project, "train")

    assert done.code == 0
    assert "balanced_accuracy  0.9704" in done.out
    assert "Gate: passed" in done.out
    assert "sample-model version 2 is now the champion, version 1 is previous. Next:" in done.out
    assert "mlp serve" in done.out
    assert "Training in this process; no Prefect server is configured." in done.err


def test_a_refusal_exits_1_with_the_reasons_and_names_the_serving_version(
    project: Project, call_mlp: Callable[..., Called]
) -> None:
    done = call_mlp(project, "train", "model.params.C=0.00001")

    assert done.code == 1
    assert "  - balanced_accuracy is 0.3333, 0.2667 below its threshold 0.6" in done.out
    assert "  - balanced_accuracy is 0.3333, not better than the 0.3333 of a constant prediction" in done.out
    assert "sample-model version 2 is registered without an alias; version 1 stays the champion. Next:" in done.out
    assert "  mlp train model.params.C=0.00001 model.class_weight=balanced  " in done.out


def test_with_no_promote_the_next_step_is_the_promotion(project: Project, call_mlp: Callable[..., Called]) -> None:
    done = call_mlp(project, "train", "--no-promote")

    assert (done.code, "mlp promote sample-model/2" in done.out) == (0, True)


def test_an_id_for_a_table_that_a_model_was_trained_on_keeps_the_key_unless_asked(
    project: Project, tmp_path: Path, call_mlp: Callable[..., Called]
) -> None:
    header, *rows = (project.data_dir / "sample.csv").read_text(encoding="utf-8").splitlines()
    numbered = [f"id,{header}", *(f"b{number},{row}" for number, row in enumerate(rows))]
    (tmp_path / "birds.csv").write_text("\n".join(numbered), encoding="utf-8")
    again = ("data", "import", str(tmp_path / "birds.csv"), "--name", "sample", "--id", "id", "--replace")

    kept, taken = call_mlp(project, *again), call_mlp(project, *again, "--new-key")

    assert (kept.code, taken.code) == (0, 0)
    assert "because sample-model version 1 was trained with that key. To decide it by id, import again" in kept.err
    assert "The hold-out is decided by id from now on: rows change sides" in taken.err
    assert "key:\n- id\n" in (project.conf_dir / "data" / "sample.yaml").read_text(encoding="utf-8")


def test_with_json_stdout_contains_only_json(project: Project, call_mlp: Callable[..., Called]) -> None:
    result = json.loads(call_mlp(project, "train", "--json").out)

    assert (result["version"], result["passed"], result["promoted"], result["champion_before"]) == (
        "2",
        True,
        True,
        "1",
    )
    assert result["verdict"]["metric"] == "balanced_accuracy"


def test_a_misspelt_choice_exits_2(project: Project, call_mlp: Callable[..., Called]) -> None:
    done = call_mlp(project, "train", "model=forrest")

    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[-1].startswith("error: ")


def test_an_unreachable_tracking_server_exits_3(
    project: Project, call_mlp: Callable[..., Called], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")

    done = call_mlp(project, "train")

    assert done.code == 3
    assert done.err.splitlines()[-1].startswith("error: the MLflow server http://127.0.0.1:9 does not answer")


def test_the_documented_configuration_mistakes_print_the_documented_errors(
    project: Project, call_mlp: Callable[..., Called]
) -> None:
    page = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8").split("## Mistakes\n")[1]
    shown = re.findall(r"^\$ mlp (.+)\n(error: .+)$", page.split("```")[1], flags=re.MULTILINE)
    assert len(shown) == 3
    for command, message in shown:
        done = call_mlp(project, *shlex.split(command))
        assert (done.code, done.err.strip().splitlines()[-1]) == (2, message)
