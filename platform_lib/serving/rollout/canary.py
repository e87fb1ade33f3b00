"""The canary: a version that answers a share of the requests. Who gets it, and when it is switched off.

`roles` keeps it loaded, `handler` asks it.
"""

import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from platform_lib.names import Header
from platform_lib.serving.models.served_model import ServedModel
from platform_lib.serving.rollout.comparison import Agreement

log = logging.getLogger("platform_lib.serving")

_SPAN = 2**32
_WINDOW = 200
_FEWEST = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class CanaryRule:
    """When a canary is switched off."""

    max_failures: float = 0.05
    """Share of its requests that it may fail."""
    window: int = _WINDOW
    """Of its last so many requests."""
    fewest: int = _FEWEST
    """There must be so many before it is judged."""


class Canary:
    """One version as the canary of this process. The loader's thread sets its share, the event loop does the rest."""

    def __init__(self, served: ServedModel, percent: float, since: datetime, rule: CanaryRule | None = None) -> None:
        self.served, self.since, self._rule = served, since, rule or CanaryRule()
        self.agreement = Agreement()
        """With the champion's answers to the same rows."""
        self.requests = self.failures = 0
        self.off_reason: str | None = None
        """Why it is switched off; None while it answers."""
        self._salt = served.model.version.encode()
        self._last: deque[bool] = deque(maxlen=self._rule.window)
        self.percent = 0.0
        self._below = 0
        self.set_percent(percent)

    def set_percent(self, percent: float) -> None:
        """Give it another share, 0 to 100; a new share is also a new chance for one that is off."""
        if percent != self.percent:
            self.percent, self.off_reason = percent, None
            self._last.clear()
            self._below = round(percent / 100 * _SPAN)

    def takes(self, headers: Mapping[str, str], request_id: str) -> bool:
        """Whether it answers this request.

        The header `X-Sticky-Id` or else the request's id decides: equal ones go to the same version in every process, and a larger share only adds
        to those who get the canary. The version is part of the draw, so that another canary meets others first.
        """
        if self.off_reason is not None:
            return False
        who = headers.get(Header.STICKY) or request_id
        drawn = blake2b(who.encode("utf-8", "replace"), digest_size=4, key=self._salt[:64]).digest()
        return int.from_bytes(drawn, "big") < self._below

    def answered(self) -> None:
        """It answered a request."""
        self.requests += 1
        self._last.append(True)

    def failed(self, reason: str) -> bool:
        """It failed a request, which the champion then answered.

        Returns:
            Whether that was one too many: it is off from now on.
        """
        self.requests += 1
        self.failures += 1
        self._last.append(False)
        failed, count = self._last.count(False), len(self._last)
        if self.off_reason is not None or count < self._rule.fewest or failed <= self._rule.max_failures * count:
            return False
        allowed = f"{self._rule.max_failures * 100:g} %"
        self.off_reason = (
            f"it failed {failed} of its last {count} requests, more than the {allowed} allowed; the last one: {reason}"
        )
        log.error(
            "the canary, version %s of %s, is switched off: %s",
            self.served.model.version,
            self.served.model.name,
            self.off_reason,
        )
        return True

    def describe(self) -> dict[str, Any]:
        """For `/model`."""
        return {
            "version": self.served.model.version,
            "percent": self.percent,
            "state": "answers" if self.off_reason is None else "switched_off",
            "reason": self.off_reason,
            "since": self.since.isoformat(),
            "requests": self.requests,
            "failures": self.failures,
            "compared": self.agreement.compared,
            "disagreements": self.agreement.disagreements,
            "skipped": self.agreement.skipped,
            "mean_difference": self.agreement.mean_difference,
        }
