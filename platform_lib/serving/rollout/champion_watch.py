"""Metric of the version that the registry calls champion, `mlp_champion_info`.

A server with a pinned version, or one that refused the last promotion, serves another version. Comparing this metric
with `mlp_model_info` shows it. This module loads no model; `loader` does.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from platform_lib.errors import NotFound, ServiceError
from platform_lib.names import Alias, MetricName
from platform_lib.registry.reference import Reference
from platform_lib.serving.models.polling import PollingThread
from platform_lib.serving.models.registry_client import RegistryClient

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


class ChampionWatch:
    """Collector for prometheus_client. It polls in a thread of its own, so that a hanging registry delays no scrape."""

    def __init__(self, client: RegistryClient, model: str, *, poll_s: float = 30.0) -> None:
        self._client, self._model = client, model
        self._champion: str | None = None
        self._polling = PollingThread("champion-watch", self._poll_once, every_s=poll_s, longest_s=poll_s)

    def start(self) -> None:
        """Start polling and return immediately."""
        self._polling.start()

    def close(self) -> None:
        """Stop polling."""
        self._polling.stop()
        self._client.close()

    def poll(self) -> None:
        """Ask the registry once. If it does not respond, the last known champion stays."""
        try:
            self._champion = self._client.version_of(Reference(name=self._model, alias=Alias.CHAMPION))
        except NotFound:
            self._champion = None
        except ServiceError:
            pass

    def collect(self) -> "Iterator[Metric]":
        """Return the metric with one series, or with none if there is no champion."""
        from prometheus_client.metrics_core import GaugeMetricFamily

        family = GaugeMetricFamily(
            MetricName.CHAMPION_INFO, "1 for the version that the registry calls champion.", labels=["model", "version"]
        )
        if (version := self._champion) is not None:
            family.add_metric([self._model, version], 1)
        yield family

    def _poll_once(self) -> bool:
        self.poll()
        return True
