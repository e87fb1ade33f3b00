"""The controller follows the aliases `canary` and `shadow` and the canary's percentage."""

import gc
import weakref
from pathlib import Path

import pytest

from tests.serving.rollout.rollouts import following, poll
from tests.serving.sample_models import FolderRegistry


class TestPolling:
    def test_a_version_is_the_canary_while_it_has_the_alias(self, registry: FolderRegistry) -> None:
        loader, rollout = following(registry)
        assert rollout.describe() == {"canary": None, "shadow": None}
        registry.canary, registry.percent = "2", "12.5"
        poll(loader, rollout)
        assert rollout.canary is not None
        assert (rollout.canary.served.model.version, rollout.canary.percent) == ("2", 12.5)
        gone = weakref.ref(rollout.canary.served.model.pipeline)
        registry.canary = None
        poll(loader, rollout)
        assert rollout.canary is None
        gc.collect()
        assert gone() is None  # its memory is free again

    def test_a_new_percentage_keeps_the_loaded_version_and_its_counts(self, registry: FolderRegistry) -> None:
        registry.canary = "2"
        loader, rollout = following(registry)
        assert rollout.canary is not None
        canary = rollout.canary
        canary.succeeded()
        registry.percent = "80"
        poll(loader, rollout)
        assert rollout.canary is canary
        assert (canary.percent, canary.requests) == (80, 1)
        assert registry.fetched == ["1", "2"]

    def test_the_champion_is_never_the_canary_and_promotion_ends_a_canary(self, registry: FolderRegistry) -> None:
        registry.canary = registry.shadow = "1"
        loader, rollout = following(registry)
        assert (rollout.canary, rollout.shadow) == (None, None)
        registry.canary = "2"
        poll(loader, rollout)
        assert rollout.canary is not None
        registry.champion = "2"
        poll(loader, rollout)
        assert loader.current is not None
        assert loader.current.model.version == "2"
        assert rollout.describe()["canary"] is None

    def test_a_registry_that_is_down_changes_nothing(self, registry: FolderRegistry) -> None:
        registry.canary, registry.shadow = "2", "3"
        loader, rollout = following(registry)
        before = rollout.canary, rollout.shadow
        assert None not in before
        registry.down = True
        rollout.poll()
        poll(loader, rollout)
        assert (rollout.canary, rollout.shadow) == before

    @pytest.mark.parametrize("percent", [None, "", "half", "101", "-1", "nan"])
    def test_an_invalid_percentage_is_reported_and_sends_no_request_to_the_canary(
        self, percent: str | None, registry: FolderRegistry
    ) -> None:
        registry.canary, registry.percent = "2", percent
        loader, rollout = following(registry)
        assert rollout.canary is None
        said = rollout.describe()["canary"]
        assert (said["version"], said["state"]) == ("2", "refused")
        assert said["reason"] == f"its tag mlp.percent is {percent!r}, expected a number from 0 to 100."
        registry.percent = "10"
        poll(loader, rollout)
        assert rollout.canary is not None

    def test_a_refused_version_becomes_neither_canary_nor_shadow(
        self, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
    ) -> None:
        registry.add("2", artifacts["2"][0], "0" * 64, promote=False)
        registry.canary = registry.shadow = "2"
        _, rollout = following(registry)
        assert (rollout.canary, rollout.shadow) == (None, None)
        for said in rollout.describe().values():
            assert (said["version"], said["state"]) == ("2", "refused")
            assert "SHA-256" in said["reason"]
