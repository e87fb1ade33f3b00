"""The metrics of a server without `--metrics-port`."""

from collections.abc import Sequence

from platform_lib.model.profile import Profile
from platform_lib.serving.telemetry.bins import BinCounter


class NoMetrics:
    """Has the methods of `metrics.ServerMetrics`, and counts nothing."""

    problem: str | None = None

    def request_started(self) -> None:
        """Count nothing."""

    def request_finished(self) -> None:
        """Count nothing."""

    def count_predictions(
        self, protocol: str, model: str, version: str, seconds: Sequence[float], rows: Sequence[int]
    ) -> None:
        """Count nothing."""

    def count_failure(self, protocol: str, model: str, version: str, code: int, seconds: float) -> None:
        """Count nothing."""

    def count_compared(self, model: str, version: str, result: str, rows: int) -> None:
        """Count nothing."""

    def count_log_drops(self, rows: int) -> None:
        """Count nothing."""

    def canary_failed(self, model: str, version: str, *, is_off: bool) -> None:
        """Count nothing."""

    def version_activated(
        self, model: str, version: str, alias: str, profile: Profile | None, *, is_fast: bool = False
    ) -> None:
        """Count nothing."""

    def alias_removed(self, alias: str) -> None:
        """Count nothing."""

    def announce_rejection_reasons(self, model: str, reasons: Sequence[str]) -> None:
        """Count nothing."""

    def version_rejected(self, model: str, reason: str) -> None:
        """Count nothing."""

    def bins(self, version: str) -> BinCounter | None:
        """Return None: no rows are counted."""
        return None
