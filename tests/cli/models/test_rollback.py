"""`mlp rollback` restores the previous champion."""

from collections.abc import Callable
from pathlib import Path

from platform_lib.settings import Project, Settings
from platform_lib.training.run import train
from tests.conftest import Called, copy_of


def test_rollback_swaps_champion_and_previous_and_swaps_them_back(
    trained: Project, tmp_path: Path, call_mlp: Callable[..., Called]
) -> None:
    project = copy_of(trained, tmp_path / "project")
    train(project, Settings())

    said = [call_mlp(project, "rollback").out for _ in range(2)]

    assert said == [
        "sample-model version 1 is the champion again; version 2 is previous.\n",
        "sample-model version 2 is the champion again; version 1 is previous.\n",
    ]


def test_without_a_previous_version_it_exits_2_and_lists_the_versions(
    trained: Project, call_mlp: Callable[..., Called]
) -> None:
    done = call_mlp(trained, "rollback")

    assert (done.code, "Versions: 1; aliases: candidate → 1, champion → 1." in done.err) == (2, True)


def test_a_version_instead_of_a_name_is_refused(trained: Project, call_mlp: Callable[..., Called]) -> None:
    done = call_mlp(trained, "rollback", "sample-model/1")

    assert (done.code, "give only the model's name" in done.err) == (2, True)
