"""Watch which version the registry calls champion, for the metric `mlp_champion_info`. Loads nothing: `loader` decides what serves.

A pinned server, or one that refused the last promotion, answers with another version; only this metric beside `mlp_model_info` shows it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from platform_lib.errors import NotFound, ServiceError
from platform_lib.names import Alias, MetricName
from platform_lib.registry.reference import Reference
from platform_lib.serving.models.polling import PollingThread

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family


class AliasClient(Protocol):
    """What is asked of `lookup`'s registries."""

    def version_of(self, reference: Reference) -> str:
        """The version that an alias means now, and nothing else of it: cheap enough to be asked all day.

        Raises:
            NotFound: There is no such model or alias yet.
            ServiceError: The registry does not answer.
        """

    def close(self) -> None: ...


class ChampionWatch:
    """Asks now and then, in a thread of its own, so that a registry that hangs holds up no scrape; a collector of prometheus_client."""

    def __init__(self, client: AliasClient, model: str, *, poll_s: float = 30.0) -> None:
        self._client, self._model = client, model
        self._champion: str | None = None
        self._polling = PollingThread("champion-watch", self._poll_once, every_s=poll_s, longest_s=poll_s)

    def start(self) -> None:
        """Begin to ask; returns at once."""
        self._polling.start()

    def close(self) -> None:
        """Ask no more."""
        self._polling.stop()
        self._client.close()

    def poll(self) -> None:
        """Ask once. Where the registry does not answer, what it said last stays."""
        try:
            self._champion = self._client.version_of(Reference(name=self._model, alias=Alias.CHAMPION))
        except NotFound:
            self._champion = None
        except ServiceError:
            pass

    def collect(self) -> "Iterator[Family]":
        """The metric: one series, or none where there is no champion."""
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
