"""`mlp canary` and `mlp shadow` on a real registry and a real server."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from platform_lib.registry.loading import open_registry
from platform_lib.registry.roles import find_canary
from platform_lib.settings import Project, Settings
from platform_lib.training.run import train
from tests.conftest import Called, copy_of, free_port
from tests.waiting import wait_until

Mlp = Callable[..., Called]
WEAK = ["model.params.C=0.01", "gate.delta=1.0"]


@pytest.fixture(scope="module")
def two_versions(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Version 1 is champion; version 2 passed the gate and predicts differently."""
    project = copy_of(trained, tmp_path_factory.mktemp("canary") / "project")
    train(project, Settings(), WEAK, promote=False)
    return project


@pytest.fixture
def project(two_versions: Project, tmp_path: Path) -> Project:
    return copy_of(two_versions, tmp_path / "project")


def aliases(project: Project) -> dict[str, str]:
    found = open_registry(project, Settings()).versions(project.name)
    return {alias: record.version for record in found for alias in record.aliases}


def test_a_canary_starts_changes_its_percentage_and_is_listed_with_it(project: Project, call_mlp: Mlp) -> None:
    started = call_mlp(project, "canary", "--version", "2", "--percent", "10")
    assert started.code == 0, started.err
    assert started.out.startswith(
        "sample-model version 2 is the canary, with 10 % of the requests. Servers that follow the champion load it"
    )
    changed = call_mlp(project, "canary", "sample-model", "--version", "2", "--percent", "12.5", "--json")
    assert json.loads(changed.out) == {"name": "sample-model", "canary": "2", "percent": 12.5, "before": "2"}
    assert "canary 12.5 %" in call_mlp(project, "models").out
    assert aliases(project)["canary"] == "2"


def test_finishing_promotes_it_and_removes_alias_and_percentage(project: Project, call_mlp: Mlp) -> None:
    call_mlp(project, "canary", "--version", "2", "--percent", "10")
    done = call_mlp(project, "canary", "finish")
    assert (
        done.out
        == "sample-model version 2 was the canary and is now the champion; `mlp rollback` restores version 1.\n"
    )
    assert {alias: version for alias, version in aliases(project).items() if alias != "candidate"} == {
        "champion": "2",
        "previous": "1",
    }
    assert "mlp.percent" not in open_registry(project, Settings()).resolve("sample-model/2").tags


def test_stopping_it_leaves_the_champion_unchanged(project: Project, call_mlp: Mlp) -> None:
    call_mlp(project, "canary", "--version", "2", "--percent", "10")
    done = call_mlp(project, "canary", "abort")
    assert (
        done.out == "sample-model version 2 is no longer the canary. "
        "The champion serves all requests again at their next poll.\n"
    )
    assert aliases(project) == {"champion": "1", "candidate": "2"}
    again = call_mlp(project, "canary", "abort")
    assert (again.code, again.err) == (
        2,
        "error: sample-model has no canary: `mlp canary --version V --percent P` makes one.\n",
    )


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("--version", "1", "--percent", "10"), 1, "version 1 is the champion: a canary has to be another version"),
        (("--version", "2", "--percent", "0"), 2, "the share is 0 percent, expected more than 0 and at most 100"),
        (("--version", "2", "--percent", "101"), 2, "expected more than 0 and at most 100"),
        (("--version", "9", "--percent", "10"), 2, "has no version 9"),
        (("--version", "2"), 2, "--version needs --percent"),
        (("--percent", "2"), 2, "--percent needs --version"),
        (("--version", "2", "finish"), 2, "`mlp canary finish` takes neither --version nor --percent"),
        (("--percent", "5", "abort"), 2, "`mlp canary abort` takes neither --version nor --percent"),
        (("finish", "--version", "2"), 2, "No such option"),
        (("one", "two"), 2, "'two' is not a subcommand of `mlp canary`: expected finish or abort."),
        (("one", "finish", "two"), 2, "one model is expected, but these are named: 'one', 'two'."),
        (("--model", "two", "one"), 2, "one model is expected, but these are named: 'one', 'two'."),
        (("sample-model/2",), 2, "'sample-model/2' is not a model's name: expected a name without @, / and :."),
    ],
)
def test_an_invalid_request_is_refused_and_changes_nothing(
    two_versions: Project, call_mlp: Mlp, args: tuple[str, ...], code: int, says: str
) -> None:
    before = aliases(two_versions)
    done = call_mlp(two_versions, "canary", *args)
    assert (done.code, says in done.err) == (code, True), done.err
    assert aliases(two_versions) == before
    assert "mlp.percent" not in open_registry(two_versions, Settings()).resolve("sample-model/2").tags


@pytest.mark.parametrize(
    "words",
    [
        ("canary", "finish", "finish"),
        ("canary", "--model", "finish", "finish"),
        ("canary", "abort", "finish"),
        ("shadow", "off", "off"),
        ("shadow", "--model", "off", "off"),
    ],
    ids=" ".join,
)
def test_a_model_whose_name_is_a_subcommand_can_be_named(
    two_versions: Project, call_mlp: Mlp, words: tuple[str, ...]
) -> None:
    model = words[-1]
    done = call_mlp(two_versions, *words)
    assert done.err == f"error: {model} has no {words[0]}: `mlp {words[0]} --version V{HOW[words[0]]}` makes one.\n"
    shown = call_mlp(two_versions, words[0], "--model", model)
    assert shown.out.startswith(f"{model} has no {words[0]}.")


HOW = {"canary": " --percent P", "shadow": ""}


@pytest.mark.parametrize(
    "words",
    [
        ("sample-model", "finish"),
        ("finish", "sample-model"),
        ("sample-model", "--json", "finish"),
        ("--json", "finish"),
        ("finish", "--json"),
    ],
    ids=" ".join,
)
def test_name_options_and_subcommand_come_in_any_order(
    two_versions: Project, call_mlp: Mlp, words: tuple[str, ...]
) -> None:
    done = call_mlp(two_versions, "canary", *words)
    assert (done.code, done.err.split(":")[1]) == (2, " sample-model has no canary")


def test_a_refused_version_becomes_canary_or_shadow_only_by_force_with_a_reason(
    project: Project, call_mlp: Mlp
) -> None:
    train(project, Settings(), ("model.params.C=0.00001",))
    refused = call_mlp(project, "canary", "--version", "3", "--percent", "5")
    assert (refused.code, "the gate refused it" in refused.err, "canary" in aliases(project)) == (1, True, False)
    alone = call_mlp(project, "canary", "--version", "3", "--percent", "5", "--force")
    assert (alone.code, alone.err.startswith("error: --force without --reason: ")) == (2, True)
    unforced = call_mlp(project, "shadow", "--version", "3")
    assert (unforced.code, "`mlp shadow sample-model --version 3 --force --reason" in unforced.err) == (1, True)
    shadowed = call_mlp(project, "shadow", "--version", "3", "--force", "--reason", "compare only")
    # The record for a shadow does not let callers get its predictions.
    assert call_mlp(project, "canary", "--version", "3", "--percent", "5").code == 1
    assert call_mlp(project, "canary", "--version", "3", "--percent", "5", "--force", "--reason", "tried out").code == 0
    assert shadowed.out.startswith(
        "sample-model version 3 is the shadow: it predicts in the background, and no caller gets its predictions."
    )
    assert (aliases(project)["canary"], aliases(project)["shadow"]) == ("3", "3")
    assert call_mlp(project, "shadow").out.startswith("sample-model version 3 is the shadow.\n")
    assert (
        call_mlp(project, "shadow", "off").out
        == "sample-model version 3 is no longer the shadow. Servers stop running it at their next poll.\n"
    )
    assert "shadow" not in aliases(project)


def test_promoting_the_canary_ends_it_and_another_promotion_keeps_it_with_a_note(
    project: Project, call_mlp: Mlp
) -> None:
    train(project, Settings(), WEAK, promote=False)
    call_mlp(project, "canary", "--version", "2", "--percent", "10")
    other = call_mlp(project, "promote", "3")
    assert "note: version 2 is still the canary; `mlp canary abort` removes it." in other.err
    assert aliases(project)["canary"] == "2"
    call_mlp(project, "promote", "2")
    assert "canary" not in aliases(project)


def tags(project: Project, version: str) -> set[str]:
    kept = {"mlp.percent", "mlp.canary_since", "mlp.forced"}
    return kept & set(open_registry(project, Settings()).resolve(f"sample-model/{version}").tags)


def test_a_rollback_to_the_canary_ends_it_but_keeps_a_shadow_and_another_canary(
    project: Project, call_mlp: Mlp
) -> None:
    call_mlp(project, "promote", "2")
    call_mlp(project, "canary", "--version", "1", "--percent", "10")
    call_mlp(project, "shadow", "--version", "1")
    assert call_mlp(project, "rollback").err == ""
    assert {alias: version for alias, version in aliases(project).items() if alias != "candidate"} == {
        "champion": "1",
        "previous": "2",
    }
    assert tags(project, "1") == set()
    train(project, Settings(), WEAK, promote=False)
    call_mlp(project, "canary", "--version", "3", "--percent", "10")
    assert "note: version 3 is still the canary" in call_mlp(project, "rollback").err
    assert tags(project, "3") == {"mlp.percent", "mlp.canary_since"}


def test_finishing_a_canary_that_is_already_champion_says_so(project: Project, call_mlp: Mlp) -> None:
    call_mlp(project, "canary", "--version", "2", "--percent", "10")
    open_registry(project, Settings()).promote(open_registry(project, Settings()).resolve("sample-model/2"))
    done = call_mlp(project, "canary", "finish")
    assert done.out == "sample-model version 2 was already the champion; it is no longer the canary.\n"
    assert "canary" not in aliases(project)


def test_finishing_by_force_warns_like_a_promotion(project: Project, call_mlp: Mlp) -> None:
    train(project, Settings(), ("model.params.C=0.00001",))
    call_mlp(project, "canary", "--version", "3", "--percent", "5", "--force", "--reason", "tried out")
    assert call_mlp(project, "canary", "finish").code == 1
    done = call_mlp(project, "canary", "finish", "--force", "--reason", "it was good")
    assert done.err.startswith("warning: the gate refused it (")
    assert tags(project, "3") == {"mlp.forced"}


def test_a_new_percentage_keeps_the_canarys_start_time(project: Project, call_mlp: Mlp) -> None:
    call_mlp(project, "canary", "--version", "2", "--percent", "10")
    registry = open_registry(project, Settings())
    registry.client.set_model_version_tag("sample-model", "2", "mlp.canary_since", "2026-01-02T03:04:05+00:00")
    call_mlp(project, "canary", "--version", "2", "--percent", "20")
    canary = find_canary(registry, "sample-model")
    assert canary is not None
    assert (canary.percent, canary.since) == (20, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def test_a_store_that_refuses_the_alias_is_unchanged(project: Project, call_mlp: Mlp) -> None:
    with closing(sqlite3.connect(project.database)) as store:
        store.execute(
            "CREATE TRIGGER full BEFORE INSERT ON registered_model_aliases BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    assert call_mlp(project, "canary", "--version", "2", "--percent", "10").code != 0
    assert tags(project, "2") == set()
    assert "canary" not in aliases(project)


def test_shadow_off_accepts_no_version(two_versions: Project, call_mlp: Mlp) -> None:
    done = call_mlp(two_versions, "shadow", "--version", "2", "off")
    assert (done.code, "takes no --version" in done.err) == (2, True)


def test_without_a_canary_the_error_says_how_to_start_one(two_versions: Project, call_mlp: Mlp) -> None:
    assert (
        call_mlp(two_versions, "canary").out
        == "sample-model has no canary. Start one with `mlp canary --version V --percent P`.\n"
    )
    assert (
        call_mlp(two_versions, "shadow").out == "sample-model has no shadow. Start one with `mlp shadow --version V`.\n"
    )


@contextmanager
def served(project: Project) -> Iterator[str]:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "platform_lib.cli",
        "serve",
        "--port",
        str(port),
        "--poll",
        "0.1",
        "--log",
        ".mlp/log",
    ]
    with subprocess.Popen(
        command, cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
    ) as process:
        try:
            wait_until(lambda: process.poll() is not None or is_ready(f"http://127.0.0.1:{port}"), "the server")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.slow
def test_a_canary_is_compared_with_the_champion_on_predictions_and_labels(project: Project, call_mlp: Mlp) -> None:
    """Half of 300 callers get version 2 and all rows are labelled later.

    The request log and the server then report how both versions performed.
    """
    penguins = penguin_rows(project)[:300]
    with served(project) as url, httpx.Client(base_url=url) as http:
        call_mlp(project, "canary", "--version", "2", "--percent", "50")
        call_mlp(project, "shadow", "--version", "2")
        wait_until(lambda: (http.get("/model").json()["canary"] or {}).get("state") == "answers", "the canary")
        counted = dict.fromkeys(("1", "2"), 0)
        for number, (row, truth) in enumerate(penguins):
            answer = http.post("/predict", json={"rows": [row]}, headers={"X-Sticky-Id": f"caller-{number}"}).json()
            counted[answer["model"]["version"]] += 1
            http.post(
                "/labels", json={"labels": [{"request_id": answer["request_id"], "row": 0, "label": truth}]}
            ).raise_for_status()
        wait_until(lambda: seen(http) == counted["2"], "the comparison")
        watched = json.loads(call_mlp(project, "canary", "--url", url, "--json").out)["server"]
        assert (watched["requests"], watched["failures"], watched["state"]) == (counted["2"], 0, "answers")
        shadow = call_mlp(project, "shadow", "--url", url).out
        assert f"{url}: compares" in shadow
        assert "rows predicted by both versions" in shadow
    assert 100 < counted["2"] < 200

    said = call_mlp(project, "canary")
    found = json.loads(call_mlp(project, "canary", "--json").out)["logged"]
    assert (found["canary"]["requests"], found["champion"]["requests"]) == (counted["2"], found["champion"]["rows"])
    assert found["champion"]["rows"] <= counted["1"]
    assert found["canary"]["labels"] == counted["2"]
    assert found["champion"]["score"] > found["canary"]["score"]
    assert found["verdict"].startswith("The canary is worse: ")
    assert [line.split()[0] for line in said.out.splitlines()[1:5]] == ["since", "requests", "share", "rows"]
    assert found["verdict"] in said.out


def seen(http: httpx.Client) -> int:
    canary = http.get("/model").json()["canary"]
    return int(canary["compared"] + canary["skipped"])


def penguin_rows(project: Project) -> list[tuple[dict[str, Any], str]]:
    """Rows of the sample as a caller sends them, and the true label of each."""
    import pandas as pd

    table = pd.read_csv(project.root / "data" / "sample.csv").sample(frac=1, random_state=0)
    truth = table.pop("species").tolist()
    table = table[[name for name in table.columns if name in PENGUIN]]
    return list(zip(json.loads(table.to_json(orient="records")), truth, strict=True))


PENGUIN = ("island", "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "sex", "year")
