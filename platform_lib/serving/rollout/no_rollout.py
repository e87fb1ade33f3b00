"""The rollout of a server that follows no champion: no canary and no shadow."""

from typing import Any

from platform_lib.names import Alias
from platform_lib.serving.batching import CompletedBatch
from platform_lib.serving.rollout.canary import Canary


class NoRollout:
    """Has the methods of `controller.RolloutController` that the server calls, and never has a second version."""

    canary: Canary | None = None

    def poll(self) -> None:
        """Do nothing."""

    def compare(self, batch: CompletedBatch) -> None:
        """Compare nothing."""

    def describe(self) -> dict[str, Any]:
        """Return `canary` and `shadow` of `/model`."""
        return {Alias.CANARY: None, Alias.SHADOW: None}

    def close(self) -> None:
        """Do nothing."""
