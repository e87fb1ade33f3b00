"""The shadow: a version that predicts live traffic without returning its predictions."""

from datetime import datetime
from typing import Any

from platform_lib.serving.models.served_model import ServedModel
from platform_lib.serving.rollout.comparison import Agreement


class Shadow:
    """The shadow of this process."""

    def __init__(self, served: ServedModel, since: datetime) -> None:
        self.served, self.since = served, since
        self.agreement = Agreement()
        """With the champion's predictions for the same rows."""

    def describe(self) -> dict[str, Any]:
        """Return its part of `/model`."""
        return {
            "version": self.served.model.version,
            "state": "compares",
            "reason": None,
            "since": self.since.isoformat(),
            "compared": self.agreement.compared,
            "disagreements": self.agreement.disagreements,
            "failures": self.agreement.failures,
            "skipped": self.agreement.skipped,
            "mean_difference": self.agreement.mean_difference,
        }
