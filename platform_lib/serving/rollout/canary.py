"""The canary: a version that serves a percentage of the requests."""

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
_MIN_REQUESTS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class CanaryRule:
    """When a canary is switched off."""

    max_failures: float = 0.05
    """Largest share of its requests that may fail, in [0, 1]."""
    window: int = _WINDOW
    """Number of most recent requests that count."""
    min_requests: int = _MIN_REQUESTS
    """Requests needed before the rule applies."""


class Canary:
    """The canary of this process. The loader's thread sets its percentage; the event loop calls everything else."""

    def __init__(self, served: ServedModel, percent: float, since: datetime, rule: CanaryRule | None = None) -> None:
        self.served, self.since, self._rule = served, since, rule or CanaryRule()
        self.agreement = Agreement()
        """With the champion's predictions for the same rows."""
        self.requests = self.failures = 0
        self.off_reason: str | None = None
        """Why it is switched off; None while it serves."""
        self._salt = served.model.version.encode()
        self._outcomes: deque[bool] = deque(maxlen=self._rule.window)
        self.percent = 0.0
        self._below = 0
        self.set_percent(percent)

    def set_percent(self, percent: float) -> None:
        """Change its percentage of the requests, 0 to 100. A change switches it on again if it was off."""
        if percent != self.percent:
            self.percent, self.off_reason = percent, None
            self._outcomes.clear()
            self._below = round(percent / 100 * _SPAN)

    def takes(self, headers: Mapping[str, str], request_id: str) -> bool:
        """Return whether the canary serves this request.

        A hash of the header `X-Sticky-Id`, or of the request ID without one, decides: equal values go to the same
        version in every process, and a larger percentage only adds callers. The version is part of the hash, so another
        canary reaches other callers first.
        """
        if self.off_reason is not None:
            return False
        caller = headers.get(Header.STICKY) or request_id
        drawn = blake2b(caller.encode("utf-8", "replace"), digest_size=4, key=self._salt[:64]).digest()
        return int.from_bytes(drawn, "big") < self._below

    def succeeded(self) -> None:
        """Record a request that it served."""
        self.requests += 1
        self._outcomes.append(True)

    def failed(self, reason: str) -> bool:
        """Record a request that it failed and the champion served.

        Returns:
            Whether this failure switched it off.
        """
        self.requests += 1
        self.failures += 1
        self._outcomes.append(False)
        failed, count = self._outcomes.count(False), len(self._outcomes)
        if self.off_reason is not None or count < self._rule.min_requests or failed <= self._rule.max_failures * count:
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
        """Return its part of `/model`."""
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
