"""What `/metrics` shows: the metrics of all workers, read from their shared files at each scrape."""

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from platform_lib.serving.telemetry.bins import read_counts
from platform_lib.serving.telemetry.metrics import metrics_folder

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric


class _BinCollector:
    """Collects `mlp_feature_bin_total` and `mlp_feature_reference_share` from the shared files at each scrape."""

    def __init__(self, folder: Path, model: str) -> None:
        self._folder, self._model = folder, model

    def collect(self) -> "Iterator[Metric]":
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        labels = ["model", "version", "feature", "bin"]
        live = CounterMetricFamily("mlp_feature_bin", "Predicted rows, by bin of the reference profile.", labels=labels)
        reference = GaugeMetricFamily(
            "mlp_feature_reference_share", "Share of the training rows per bin.", labels=labels
        )
        for series in read_counts(self._folder):
            names = [self._model, series.version, series.feature, series.bin]
            live.add_metric(names, series.count)
            reference.add_metric(names, series.reference_share)
        yield live
        yield reference


class _LiveWorkersCollector:
    """Collects the metrics of all workers, without the gauges of workers that died."""

    def __init__(self, folder: Path) -> None:
        from prometheus_client.multiprocess import MultiProcessCollector

        self._folder = folder
        self._files = MultiProcessCollector(None, path=str(folder))  # type: ignore[no-untyped-call]

    def collect(self) -> "Iterator[Metric]":
        forget_dead_workers(self._folder)
        yield from self._files.collect()  # type: ignore[no-untyped-call]


def shared_registry(model: str) -> "CollectorRegistry":
    """Return the registry for `/metrics`: the sum over all workers."""
    folder = metrics_folder()
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    registry.register(_LiveWorkersCollector(folder))
    registry.register(_BinCollector(folder, model))
    return registry


def forget_dead_workers(folder: Path) -> None:
    """Remove the gauges of worker processes that died, such as their requests in flight. Their counters stay.

    Called in the server process, whose live children are the workers. uvicorn reports nothing when a worker dies.
    """
    alive = {os.getpid(), *(child.pid for child in multiprocessing.active_children())}
    pids = {int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*_*.db")}
    for pid in pids - alive:
        for file in folder.glob(f"gauge_live*_{pid}.db"):
            file.unlink(missing_ok=True)
