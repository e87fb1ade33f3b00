"""The loader follows an alias, and keeps serving when the registry or a version fails."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from platform_lib.registry.reference import Reference
from platform_lib.serving.models.loader import ModelLoader
from platform_lib.serving.predictor import predict_rows
from tests.serving.models.broken_artifacts import no_contract, other_bytes
from tests.serving.sample_models import FolderRegistry, fitted, rows, version_of, write_artifact
from tests.waiting import wait_until

CHAMPION = Reference("people", alias="champion")


def test_the_loader_waits_for_an_empty_registry(
    loader: ModelLoader, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
) -> None:
    assert loader.poll()
    assert loader.current is None
    assert loader.state.waiting_for == "the registry has no people@champion yet."
    assert loader.state.has_nothing_to_serve
    registry.add("1", *artifacts["1"])
    loader.poll()
    assert version_of(loader) == "1" and not loader.state.has_nothing_to_serve


def test_a_lost_alias_or_a_silent_registry_is_not_an_empty_registry(
    loader: ModelLoader, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
) -> None:
    registry.down = True
    assert not loader.poll() and not loader.state.has_nothing_to_serve
    registry.down = False
    registry.add("1", *artifacts["1"], promote=False)
    registry.previous = "1"
    assert loader.poll() and loader.current is None
    assert not loader.state.has_nothing_to_serve


def test_a_promotion_is_loaded_and_a_rollback_restores_the_earlier_predictions(
    loader: ModelLoader, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
) -> None:
    some = rows(20, seed=9)
    answers = []
    for champion in ("1", "2", "1"):
        registry.add(champion, *artifacts[champion])
        loader.poll()
        assert version_of(loader) == champion
        assert loader.current is not None
        answers.append(np.asarray(predict_rows(loader.current.model, some).probabilities))
    assert (answers[0] == answers[2]).all()
    assert (answers[0] != answers[1]).any()


def test_a_serving_version_is_not_fetched_again(
    loader: ModelLoader, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
) -> None:
    registry.add("1", *artifacts["1"])
    for _ in range(3):
        loader.poll()
    assert registry.fetched == ["1"]


def test_a_registry_that_is_down_changes_nothing_and_is_reported(
    loader: ModelLoader, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
) -> None:
    registry.add("1", *artifacts["1"])
    loader.poll()
    registry.down = True
    assert not loader.poll()
    assert version_of(loader) == "1"
    assert loader.state.registry_error == "the registry does not respond."
    registry.down = False
    registry.add("2", *artifacts["2"])
    assert loader.poll()
    assert loader.state.registry_error is None
    assert version_of(loader) == "2"


def test_removing_the_alias_leaves_the_version_serving(
    loader: ModelLoader, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
) -> None:
    registry.add("1", *artifacts["1"])
    loader.poll()
    registry.champion = None
    loader.poll()
    assert version_of(loader) == "1"
    assert loader.state.registry_error == "the registry has no people@champion yet."


def test_the_loader_waits_for_missing_files(
    loader: ModelLoader, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]], tmp_path: Path
) -> None:
    registry.add("1", *artifacts["1"])
    loader.poll()
    registry.add("2", tmp_path / "gone", artifacts["2"][1])
    assert not loader.poll()
    assert version_of(loader) == "1"
    assert (
        loader.state.registry_error
        == "the files of version 2 are not where the registry says; is the artifact store there?"
    )
    (tmp_path / "gone").symlink_to(artifacts["2"][0])
    assert loader.poll()
    assert version_of(loader) == "2"
    assert loader.state.rejected == {}


def test_a_refused_version_is_reported_as_the_reason_why_nothing_serves(
    loader: ModelLoader, registry: FolderRegistry, tmp_path: Path
) -> None:
    registry.add("3", tmp_path / "3", other_bytes(tmp_path / "3"))
    loader.poll()
    assert loader.state.waiting_for.startswith("version 3 was refused: people version 3: the model file's SHA-256 is")


def test_a_refused_version_is_retried_when_it_is_promoted_again(
    loader: ModelLoader, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]], tmp_path: Path
) -> None:
    registry.add("1", *artifacts["1"])
    loader.poll()
    broken = tmp_path / "3"
    registry.add("3", broken, no_contract(broken))
    loader.poll()
    registry.champion = "1"
    loader.poll()
    sha256 = write_artifact(broken, fitted(seed=3))
    registry.add("3", broken, sha256)
    loader.poll()
    assert version_of(loader) == "3"
    assert loader.state.rejected == {}


def test_the_thread_follows_the_alias_until_it_is_closed(
    registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
) -> None:
    swapped: list[str] = []
    loader = ModelLoader(
        registry, CHAMPION, package=None, poll_s=0.01, on_swap=lambda served: swapped.append(served.model.version)
    )
    loader.start()
    try:
        registry.add("1", *artifacts["1"])
        wait_until(lambda: version_of(loader) == "1")
        registry.add("2", *artifacts["2"])
        wait_until(lambda: version_of(loader) == "2")
    finally:
        loader.close()
    assert swapped == ["1", "2"]
    assert registry.closed
    assert version_of(loader) == "2"


def test_a_pinned_version_is_loaded_once_and_not_polled(
    registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
) -> None:
    registry.add("1", *artifacts["1"])
    registry.add("2", *artifacts["2"])
    loader = ModelLoader(registry, Reference("people", version="1"), package=None, poll_s=0.01)
    loader.start()
    wait_until(lambda: all(thread.name != "model-loader" for thread in threading.enumerate()))
    assert version_of(loader) == "1"


def test_a_bug_in_the_lookup_does_not_stop_the_polling(
    registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add("1", *artifacts["1"])
    real, calls = registry.find, []

    def find(reference: Reference, *, known_version: str | None) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError
        return real(reference, known_version=known_version)

    monkeypatch.setattr(registry, "find", find)
    loader = ModelLoader(registry, CHAMPION, package=None, poll_s=0.01)
    loader.start()
    try:
        wait_until(lambda: version_of(loader) == "1")
    finally:
        loader.close()
