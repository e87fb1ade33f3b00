"""The server's metrics, summed over all worker processes: prometheus_client counts requests, `bins` counts rows."""

import asyncio
import importlib.metadata
import logging
import os
import shutil
import tempfile
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from platform_lib.model.profile import Profile
from platform_lib.names import Alias
from platform_lib.serving.rollout.comparison import Result
from platform_lib.serving.telemetry.bins import BinCounter

if TYPE_CHECKING:
    from prometheus_client import Histogram

log = logging.getLogger("platform_lib.serving")

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_ROWS = (1, 2, 5, 10, 50, 100, 500, 1000, 5000, 10_000)


def metrics_folder() -> Path:
    """Return the folder that all processes of this server share. The first caller creates it.

    Call this before the first import of prometheus_client, which reads the variable when it is imported.
    """
    given = os.environ.get(FOLDER_VARIABLE)
    if given is None:
        given = tempfile.mkdtemp(prefix="mlp-metrics-")
        os.environ[FOLDER_VARIABLE] = given
    Path(given).mkdir(parents=True, exist_ok=True)
    return Path(given)


def remove_metrics_folder() -> None:
    """Remove the folder of metrics. Called when the server ends."""
    if folder := os.environ.pop(FOLDER_VARIABLE, None):
        shutil.rmtree(folder, ignore_errors=True)


class ServerMetrics:
    """The metrics of one worker. docs/reference.md lists their names and labels."""

    def __init__(self) -> None:
        self._folder = metrics_folder()
        import prometheus_client
        from prometheus_client import CollectorRegistry, Gauge, Histogram

        own = CollectorRegistry()
        served = ("protocol", "model", "version")
        self.requests = prometheus_client.Counter(
            "mlp_requests", "Requests by HTTP status of the response.", [*served, "code"], registry=own
        )
        self.seconds = Histogram(
            "mlp_request_seconds",
            "Seconds from a request's arrival to its response.",
            served,
            buckets=_SECONDS,
            registry=own,
        )
        self.rows = Histogram("mlp_batch_rows", "Rows per request.", served[1:], buckets=_ROWS, registry=own)
        self.errors = prometheus_client.Counter(
            "mlp_errors",
            "Requests without a prediction, by HTTP status.",
            ["protocol", "model", "code"],
            registry=own,
        )
        self.in_flight = Gauge("mlp_in_flight", "Requests in progress.", registry=own, multiprocess_mode="livesum")
        self._log_dropped = prometheus_client.Counter(
            "mlp_log_dropped", "Rows that the request log dropped.", registry=own
        )
        self._info = Gauge(
            "mlp_model_info",
            "1 for a version that is served.",
            ["model", "version", "alias"],
            registry=own,
            multiprocess_mode="livemax",
        )
        self._refused = prometheus_client.Counter(
            "mlp_model_refused",
            "Versions that were rejected, by the failed check.",
            ["model", "reason"],
            registry=own,
        )
        self._fast = Gauge(
            "mlp_fast_path",
            "1 for a version that uses its fast path, 0 for one that scikit-learn computes.",
            served[1:],
            registry=own,
            multiprocess_mode="livemin",
        )
        self._canary_failures = prometheus_client.Counter(
            "mlp_canary_failures",
            "Requests that the canary failed and the champion served.",
            served[1:],
            registry=own,
        )
        self._canary_off = Gauge(
            "mlp_canary_off",
            "1 for a canary that a worker switched off.",
            served[1:],
            registry=own,
            multiprocess_mode="livemax",
        )
        self._compared = prometheus_client.Counter(
            "mlp_compared_rows",
            "Rows computed by two versions, by result: same, differs, failed, skipped.",
            [*served[1:], "result"],
            registry=own,
        )
        self._bins: dict[str, BinCounter] = {}
        self._series: dict[tuple[str, str, str], tuple[Any, Any, Any]] = {}
        self._observe = observe_many
        self.problem: str | None = None
        """Why histograms are updated one value at a time, which is slower; None if they are not."""
        self._open_requests = 0
        self._is_written = True
        self._shown: dict[str, tuple[str, str, str]] = {}
        """The labels of `mlp_model_info`, by alias."""

    def request_started(self) -> None:
        """Count a request as in flight. The gauge is written once per turn of the event loop."""
        self._open_requests += 1
        self._write_open_soon()

    def request_finished(self) -> None:
        """Count a request as no longer in flight."""
        self._open_requests -= 1
        self._write_open_soon()

    def count_predictions(
        self, protocol: str, model: str, version: str, seconds: Sequence[float], rows: Sequence[int]
    ) -> None:
        """Count requests that got predictions.

        Args:
            protocol: Name of the codec.
            model: Name of the model.
            version: The version that predicted.
            seconds: From arrival to now, one per request.
            rows: Number of rows, one per request.
        """
        key = (protocol, model, version)
        if key not in self._series:  # a lookup costs as much as counting
            self._series[key] = (
                self.requests.labels(*key, 200),
                self.seconds.labels(*key),
                self.rows.labels(model, version),
            )
            self._choose_observe(*self._series[key][1:])
        requests, durations, sizes = self._series[key]
        requests.inc(len(seconds))
        self._observe(durations, _SECONDS, seconds)
        self._observe(sizes, _ROWS, rows)

    def _choose_observe(self, *histograms: "Histogram") -> None:
        """Fall back to the public method if this version of prometheus_client has other private attributes.

        Only a histogram with its labels has them, so the first request of a version checks.
        """
        if self.problem is None and not all(map(supports_observe_many, histograms)):
            version = importlib.metadata.version("prometheus-client")
            self.problem = (
                f"prometheus-client {version} has other internals than expected; metrics take the slower path. "
                "Install a version that platform-lib declares."
            )
            self._observe = observe_each
            log.warning("%s", self.problem)

    def count_failure(self, protocol: str, model: str, version: str, code: int, seconds: float) -> None:
        """Count a request that got a problem document."""
        self.requests.labels(protocol, model, version, code).inc()
        self.seconds.labels(protocol, model, version).observe(seconds)
        self.errors.labels(protocol, model, code).inc()

    def _write_open_soon(self) -> None:
        if self._is_written:
            self._is_written = False
            asyncio.get_running_loop().call_soon(self._write_open)

    def _write_open(self) -> None:
        self._is_written = True
        self.in_flight.set(self._open_requests)

    def version_activated(
        self, model: str, version: str, alias: str, profile: Profile | None, *, is_fast: bool = False
    ) -> None:
        """Show a version as served from now on. Its series start at zero."""
        self.alias_removed(alias)
        self._fast.labels(model, version).set(int(is_fast))
        self._shown[alias] = (model, version, alias)
        if alias == Alias.CANARY:  # a rate sees the first step only of a series that starts at zero
            self._canary_failures.labels(model, version)
            self._canary_off.labels(model, version).set(0)
        if alias in (Alias.CANARY, Alias.SHADOW):
            for result in get_args(Result):
                self._compared.labels(model, version, result)
        self._info.labels(model, version, alias).set(1)
        if profile is not None:
            self._bins = {
                version: BinCounter(self._folder, version, profile),
                **{k: v for k, v in self._bins.items() if k != version},
            }

    def announce_rejection_reasons(self, model: str, reasons: Sequence[str]) -> None:
        """Start the counters of rejections at zero, so that an alert on `increase` sees the first rejection."""
        for reason in reasons:
            self._refused.labels(model, reason)

    def count_log_drops(self, rows: int) -> None:
        """Count rows that the request log dropped."""
        self._log_dropped.inc(rows)

    def alias_removed(self, alias: str) -> None:
        """Show that no version has this alias any more."""
        if (shown := self._shown.pop(alias, None)) is not None:
            self._info.labels(*shown).set(0)
            self._canary_off.labels(*shown[:2]).set(0)

    def canary_failed(self, model: str, version: str, *, is_off: bool) -> None:
        """Count a request that the canary failed, and show whether the canary is now switched off."""
        self._canary_failures.labels(model, version).inc()
        if is_off:
            self._canary_off.labels(model, version).set(1)

    def count_compared(self, model: str, version: str, result: str, rows: int) -> None:
        """Count rows that two versions computed."""
        self._compared.labels(model, version, result).inc(rows)

    def version_rejected(self, model: str, reason: str) -> None:
        """Count a rejected version."""
        self._refused.labels(model, reason).inc()

    def bins(self, version: str) -> BinCounter | None:
        """Return the counter of rows per bin for this version; None if it has no reference profile."""
        return self._bins.get(version)


def observe_many(histogram: "Histogram", bounds: Sequence[float], values: Sequence[float]) -> None:
    """Do what `histogram.observe` does for each value, with one write per bucket instead of two per value."""
    buckets = Counter(bisect_left(bounds, value) for value in values)
    for place, count in buckets.items():
        histogram._buckets[place].inc(count)  # noqa: SLF001  checked at start; `observe_each` is the fallback
    histogram._sum.inc(sum(values))  # noqa: SLF001  as above


def observe_each(histogram: "Histogram", bounds: Sequence[float], values: Sequence[float]) -> None:
    """Do the same as `observe_many` with the public method."""
    for value in values:
        histogram.observe(value)


def supports_observe_many(histogram: "Histogram") -> bool:
    """Return whether a histogram has the private attributes that `observe_many` uses."""
    buckets, total = getattr(histogram, "_buckets", None), getattr(histogram, "_sum", None)
    return isinstance(buckets, list) and all(hasattr(value, "inc") for value in (*buckets, total))
