"""Only what passed the gate serves: a refused version is used nowhere, unless somebody overrode the gate on the record.

The attacker can move aliases and change tags in the registry by hand, past `mlp promote`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from platform_lib.registry import Registry
from platform_lib.registry.approval import override_tags, refusal
from platform_lib.registry.loading import open_registry
from platform_lib.registry.reference import Reference
from platform_lib.registry.store_check import examine_store
from platform_lib.serving.http.health import admin_details, describe
from platform_lib.serving.models.loader import Follower
from platform_lib.serving.models.local_registry import LocalRegistryClient
from platform_lib.settings import Project, Settings
from platform_lib.training.run import train
from tests.conftest import Called, copy_of, free_port
from tests.serving.sample_models import FixedSource, fitted, loaded
from tests.waiting import wait_until

Mlp = Callable[..., Called]
PASSED = {"mlp.gate": '{"passed": true, "reasons": []}'}
REFUSED = {"mlp.gate": '{"passed": false, "reasons": ["accuracy is 0.1, below 0.5"]}'}


@pytest.fixture(scope="module")
def refused(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Version 1 passed, and was the champion; version 2 was refused, and the alias was moved to it by hand."""
    project = copy_of(trained, tmp_path_factory.mktemp("gate") / "project")
    assert not train(project, Settings(), ("model.params.C=0.00001",)).passed
    move(project, "champion", "2")
    return project


@pytest.fixture
def registry(refused: Project) -> Iterator[Registry]:
    """The registry of `refused`; without other aliases and without an override afterwards."""
    registry = open_registry(refused, Settings())
    yield registry
    move(refused, "champion", "2")
    for tag in registry.resolve(f"{refused.name}/2").tags:
        if tag.startswith("mlp.forced"):
            registry.client.delete_model_version_tag(refused.name, "2", tag)


def move(project: Project, alias: str, version: str) -> None:
    open_registry(project, Settings()).client.set_registered_model_alias(project.name, alias, version)


@pytest.fixture(scope="module")
def client(refused: Project) -> LocalRegistryClient:
    """The server's own client of the real store."""
    return LocalRegistryClient(f"sqlite:///{refused.database.as_posix()}")


def follower(client: LocalRegistryClient, project: Project, **reference: str) -> Follower:
    return Follower(client, Reference(project.name, **reference), package=project.package)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (REFUSED, "the gate refused it (accuracy is 0.1, below 0.5)"),
        ({}, "the gate has not judged it"),
        ({"mlp.gate": "passed"}, "the gate has not judged it"),
        ({"mlp.gate": "true"}, "the gate has not judged it"),
        ({"mlp.gate": '["passed"]'}, "the gate has not judged it"),
        ({"mlp.gate": '{"passed": "true"}'}, "the gate refused it"),
        ({"mlp.gate": '{"passed": 1}'}, "the gate refused it"),
        ({"mlp.gate": '{"reasons": "none"}'}, "the gate refused it"),
        (REFUSED | {"mlp.forced": "false"}, "the gate refused it (accuracy is 0.1, below 0.5)"),
        (REFUSED | {"mlp.forced": "shadow"}, "the gate refused it (accuracy is 0.1, below 0.5)"),
        (REFUSED | {"mlp.forced_by": "ada", "mlp.forced_reason": "why"}, "the gate refused it"),
    ],
    ids=repr,
)
def test_only_a_verdict_that_says_passed_lets_a_version_serve(tags: dict[str, str], said: str) -> None:
    reason = refusal("sample-model", "7", tags, "champion")
    assert reason is not None
    assert reason.startswith(f"sample-model version 7 is not used: {said}")
    assert reason.endswith('override the gate on the record with `mlp promote sample-model/7 --force --reason "…"`.')
    assert refusal("sample-model", "7", PASSED, "champion") is None


@pytest.mark.parametrize("forced_for", ["champion", "canary", "shadow"])
@pytest.mark.parametrize("role", ["champion", "canary", "shadow", "previous", None])
def test_an_override_allows_the_role_that_it_was_given_for(forced_for: str, role: str | None) -> None:
    tags = REFUSED | override_tags(REFUSED, role=forced_for, by="ada", at="now", reason="agreed")
    assert (refusal("m", "7", tags, role) is None) == (forced_for in ("champion", role))
    later = tags | override_tags(tags, role="shadow", by="ada", at="now", reason="agreed")
    assert (refusal("m", "7", later, "champion") is None) == (forced_for == "champion")


@pytest.mark.parametrize("alias", ["champion", "canary", "shadow", "candidate", None])
def test_the_server_refuses_it_under_every_alias_and_pinned(
    refused: Project, registry: Registry, client: LocalRegistryClient, alias: str | None
) -> None:
    if alias is not None:
        move(refused, alias, "2")
    loader = follower(client, refused, **({"alias": alias} if alias else {"version": "2"}))
    loader.poll()
    assert loader.current is None
    assert loader.state.rejected["2"].check == "gate"
    assert loader.state.rejected["2"].reason.startswith("sample-model version 2 is not used: the gate refused it (")
    assert "--force --reason" in loader.state.rejected["2"].reason


def test_a_tag_is_read_again_at_each_look_up_and_interrupts_nothing_that_serves(
    refused: Project, registry: Registry, client: LocalRegistryClient
) -> None:
    loader = follower(client, refused, alias="champion")
    loader.poll()
    assert loader.current is None
    registry.promote(registry.resolve("sample-model/2"), override="the board accepts the risk")
    loader.poll()
    assert loader.current is not None
    registry.client.delete_model_version_tag("sample-model", "2", "mlp.forced")
    loader.poll()
    assert loader.current.model.version == "2"
    move(refused, "champion", "1")
    loader.poll()
    assert loader.current.model.version == "1"
    move(refused, "champion", "2")
    loader.poll()
    assert loader.current.model.version == "1"


@pytest.mark.parametrize("reference", [None, "2", "models:/sample-model/2", "@champion"])
def test_mlp_predict_refuses_it_and_writes_nothing(
    refused: Project, registry: Registry, call_mlp: Mlp, tmp_path: Path, reference: str | None
) -> None:
    table = refused.root / "data" / "sample.csv"
    chosen = ("--model", reference) if reference else ()
    done = call_mlp(refused, "predict", str(table), "--out", str(tmp_path / "out.csv"), *chosen)
    assert done.code == 1
    assert "error: sample-model version 2 is not used: the gate refused it (" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out.csv").exists()


def test_mlp_models_and_mlp_check_say_in_words_that_the_champion_does_not_serve(
    refused: Project, registry: Registry, call_mlp: Mlp, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = call_mlp(refused, "models").out
    assert "The champion does not serve: sample-model version 2 is not used: the gate refused it (" in listed
    assert "Servers refuse it: sample-model version 2 is not used" in call_mlp(refused, "models", "show", "2").out
    found = "\n".join(finding.text for finding in examine_store(refused.database) if finding.level == "problem")
    assert "the champion does not serve: sample-model version 2 is not used: the gate refused it (" in found
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;31mrefused" in call_mlp(refused, "models").out
    registry.promote(registry.resolve("sample-model/2"), override="the board accepts the risk")
    assert "does not serve" not in call_mlp(refused, "models").out
    shown = json.loads(call_mlp(refused, "models", "--json").out)[0]["override"]
    assert (shown["by"], shown["reason"]) == ("Tests <tests@example.invalid>", "the board accepts the risk")


@pytest.mark.slow
def test_mlp_serve_never_swaps_it_in_until_it_is_promoted_by_force(
    refused: Project, registry: Registry, call_mlp: Mlp, tmp_path: Path
) -> None:
    move(refused, "champion", "1")
    port, log = free_port(), tmp_path / "log.txt"
    command = [sys.executable, "-m", "platform_lib.cli", "serve", "--port", str(port), "--poll", "0.1"]

    def model() -> dict[str, object]:
        try:
            return dict(httpx.get(f"http://127.0.0.1:{port}/model", timeout=10).json())
        except httpx.HTTPError:
            return {}

    with log.open("wb") as output, subprocess.Popen(command, cwd=refused.root, stdout=output, stderr=output) as process:
        try:
            wait_until(lambda: model().get("version") == "1")
            move(refused, "champion", "2")
            wait_until(lambda: "is refused: sample-model version 2 is not used" in log.read_text(encoding="utf-8"))
            assert model()["version"] == "1"
            done = call_mlp(refused, "promote", "2", "--force", "--reason", "the board accepts the risk")
            assert done.out == "sample-model version 2 is already the champion; the override of the gate is recorded.\n"
            wait_until(lambda: model().get("version") == "2")
        finally:
            process.terminate()
            process.wait(30)
    assert os.name == "nt" or process.returncode == 0


def test_who_overrode_the_gate_and_why_is_shown_to_admins_only() -> None:
    source = FixedSource(loaded(fitted()))
    assert source.current is not None
    personal = {"mlp.forced_by": "Ada <ada@example.com>", "mlp.forced_reason": "agreed", "mlp.signed_by": "Ada (key 0)"}
    source.current.tags.update(personal)
    for has_key in (False, True):
        assert not personal.keys() & describe(source.state, has_key=has_key)["tags"].keys()
    assert personal.items() <= admin_details(source.state)["tags"].items()
