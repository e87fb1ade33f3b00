"""`mlp promote` makes a version the champion and never overrules the gate silently."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from platform_lib.settings import Project, Settings
from platform_lib.training.run import train
from tests.conftest import Called, copy_of


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    return copy_of(trained, tmp_path / "project")


def test_without_a_reference_the_candidate_becomes_champion(project: Project, call_mlp: Callable[..., Called]) -> None:
    train(project, Settings(), promote=False)

    done = call_mlp(project, "promote")

    assert done.out == "sample-model version 2 is now the champion; `mlp rollback` restores version 1.\n"


def test_promoting_the_champion_says_that_it_already_is(project: Project, call_mlp: Callable[..., Called]) -> None:
    assert call_mlp(project, "promote", "1").out == "sample-model version 1 is already the champion.\n"


def test_a_refused_version_is_promoted_only_by_force_and_with_a_warning(
    project: Project, call_mlp: Callable[..., Called]
) -> None:
    train(project, Settings(), ("model.params.C=0.00001",))

    refused = call_mlp(project, "promote", "2")
    alone = call_mlp(project, "promote", "2", "--force")
    forced = call_mlp(project, "promote", "2", "--force", "--reason", "agreed with risk", "--json")

    assert (refused.code, "cannot be promoted: the gate refused it" in refused.err) == (1, True)
    assert (alone.code, "--force without --reason: sample-model version 2 did not pass the gate" in alone.err) == (
        2,
        True,
    )
    assert forced.err.startswith("warning: the gate refused it (")
    assert json.loads(forced.out) == {"name": "sample-model", "champion": "2", "previous": "1", "changed": True}
    shown = json.loads(call_mlp(project, "models", "show", "2", "--json").out)["override"]
    assert (shown["by"], shown["reason"]) == ("Tests <tests@example.invalid>", "agreed with risk")
    page = call_mlp(project, "models", "show", "2").out
    assert "Gate overridden by Tests <tests@example.invalid> at 20" in page
    assert ": agreed with risk\n" in page
    assert "refused, forced" in call_mlp(project, "models").out
