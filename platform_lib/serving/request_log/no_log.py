"""The request log of a server that keeps none."""

from collections.abc import Mapping, Sequence
from typing import Any

from platform_lib.serving.request_log.recorder import LoggedModel


class NoRequestLog:
    """Has the methods of `recorder.RequestLog` that request handlers call, and discards everything."""

    is_enabled = False
    problem: str | None = None

    async def room(self) -> None:
        """Return at once."""

    def batch(
        self,
        model: LoggedModel,
        requests: Sequence[tuple[str, str, float, int]],
        columns: Mapping[str, Sequence[Any]],
        predictions: Sequence[Any],
        probabilities: Sequence[Sequence[float]] | None,
    ) -> None:
        """Discard predictions."""

    def labels(self, labels: Sequence[tuple[str, int, str]]) -> None:
        """Discard labels."""

    def close(self, timeout_s: float = 30) -> None:
        """Do nothing."""
