"""`mlp monitor report` and `mlp log labels` on what a real server has logged."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pandas as pd
import pytest

from platform_lib.settings import Project
from tests.conftest import Called, copy_of, free_port, run_mlp, server


@pytest.mark.slow
def test_a_shift_is_reported_with_the_live_score_from_a_file_of_labels(
    trained: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call_mlp: Callable[..., Called]
) -> None:
    project = copy_of(trained, tmp_path / "project")
    monkeypatch.chdir(project.root)
    sample = pd.read_csv(project.root / "data" / "sample.csv")
    rows = sample.sample(600, replace=True, random_state=0)
    given = rows.drop(columns="species").assign(body_mass_g=rows["body_mass_g"] + 1500)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "platform_lib.cli", "serve", "--port", str(port), "--log", str(tmp_path / "log")]
    with server(command, f"{address}/readyz", tmp_path / "out", env={"PYTHONUNBUFFERED": "1"}):
        body = {"rows": json.loads(given.to_json(orient="records"))}
        answer = httpx.post(f"{address}/predict", json=body, timeout=60).raise_for_status().json()
    truth = pd.DataFrame({"request_id": answer["request_id"], "row": range(600), "label": rows["species"].tolist()})
    truth.to_csv(tmp_path / "truth.csv", index=False)

    assert (
        "Added 600 labels"
        in run_mlp(project, "log", "labels", str(tmp_path / "truth.csv"), str(tmp_path / "log")).stdout
    )
    arguments = ("monitor", "report", "--since", "1h", "--log", str(tmp_path / "log"))
    printed = run_mlp(project, *arguments, expect=1).stdout
    page = tmp_path / "page.html"
    found = json.loads(run_mlp(project, *arguments, "--json", "--html", str(page), expect=1).stdout)
    assert "body_mass_g has drifted" in page.read_text(encoding="utf-8")

    assert "body_mass_g has drifted: PSI" in printed
    assert [column["name"] for column in found["columns"] if column["drifted"]] == ["body_mass_g"]
    assert found["score"]["total"]["labelled"] == 600
    moved = next(column["test"] for column in found["columns"] if column["name"] == "body_mass_g")
    assert moved["test"] == "Kolmogorov-Smirnov"
    assert moved["wasserstein"] == pytest.approx(1500, rel=0.1)
    assert found["joint"]["strongest"][0] == "body_mass_g"

    assert found["score"]["metric"] == "balanced_accuracy"
    assert 0 < found["score"]["total"]["score"] <= 1

    from_log = ("data", "from-log", "--since", "1h", "--log", str(tmp_path / "log"), "--json")
    taken = json.loads(call_mlp(project, *from_log).out)
    assert (taken["added"], taken["unusable"], taken["incomplete"], len(taken["files"])) == (600, 0, 0, 1)
    assert json.loads(call_mlp(project, *from_log).out)["present"] == 600


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "soon"], "'soon' is not a duration"),
        (["--since", "1h", "--window", "2h"], "--window 2h is longer than --since 1h"),
        (["--metric", "r2"], "'r2' is a metric of regression"),
        (["9"], "version 9"),
        (["--html", "nowhere/page.html"], "the folder 'nowhere' does not exist"),
    ],
)
@pytest.mark.slow
def test_a_wrong_argument_is_named(trained: Project, arguments: list[str], message: str) -> None:
    done = run_mlp(trained, "monitor", "report", *arguments, expect=2)
    assert message in done.stderr
