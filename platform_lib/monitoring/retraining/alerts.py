"""Alertmanager's webhook calls as alerts that may start a retraining."""

from datetime import datetime
from typing import Literal

import msgspec

from platform_lib.errors import UsageError
from platform_lib.monitoring.retraining.retrain import Cause, Reason

CAUSES: dict[str, Cause] = {"ModelDrift": "drift", "ModelScoreFallen": "live-score"}
"""Alerts that start a retraining, and what they mean."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of a call, as Alertmanager sends it."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: datetime = msgspec.field(name="startsAt")
    fingerprint: str

    @property
    def episode(self) -> str:
        """Identifies the alert from its beginning to its end: repeated and replayed calls have an equal one."""
        return f"{self.fingerprint}/{self.starts_at.isoformat()}"

    @property
    def cause(self) -> Cause | None:
        """What it means for training; None if it is no reason to retrain."""
        return CAUSES.get(self.labels.get("alertname", ""))

    def reason(self) -> Reason:
        """Why to retrain.

        Raises:
            ValueError: The alert is no reason.
        """
        name = self.labels.get("alertname", "")
        if self.cause is None:
            raise ValueError(f"{name} starts no retraining")
        text = self.annotations.get("summary") or f"the alert {name} fires"
        alert = f"{name} since {self.starts_at.isoformat(timespec='seconds')}"
        return Reason(text=text, cause=self.cause, window=self.labels.get("window", ""), alert=alert)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a webhook call; version 4 is the only one that Alertmanager sends."""

    version: Literal["4"]
    alerts: list[Alert]


def read_call(body: bytes) -> list[Alert]:
    """Read the alerts of a call.

    Raises:
        UsageError: The body is not what Alertmanager sends; says where it differs.
    """
    try:
        return msgspec.json.decode(body, type=Call).alerts
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise UsageError(f"the body is not a call of Alertmanager's webhook: {err}.") from err
