"""Keep the canary and the shadow up to date with the registry.

Both are found by their aliases and validated like a champion. The loader's thread calls `poll`; the event loop reads
`canary` and `shadow`.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from platform_lib.errors import NotFound, ServiceError
from platform_lib.model.signing.verification import OFF, SignaturePolicy
from platform_lib.names import Alias, VersionTag
from platform_lib.registry.reference import Reference
from platform_lib.serving.batching import CompletedBatch
from platform_lib.serving.models.loader import Follower
from platform_lib.serving.models.registry_client import RegistryClient
from platform_lib.serving.models.served_model import Rejection, ServedModel
from platform_lib.serving.rollout.canary import Canary, CanaryRule
from platform_lib.serving.rollout.comparison import ComparisonThread, CountRows
from platform_lib.serving.rollout.shadow import Shadow


class RolloutController:
    """The canary and the shadow of one model."""

    def __init__(
        self,
        client: RegistryClient,
        model: str,
        champion: Callable[[], ServedModel | None],
        *,
        package: str | None,
        trusted_types: tuple[str, ...] = (),
        signatures: SignaturePolicy = OFF,
        rule: CanaryRule | None = None,
        count: CountRows = lambda candidate, result, rows: None,
        on_change: Callable[[str, ServedModel | None], None] = lambda alias, served: None,
        on_rejection: Callable[[Rejection], None] = lambda rejection: None,
    ) -> None:
        """Prepare; `poll` does the first look-up.

        Args:
            client: The registry.
            model: Name of the model.
            champion: Returns the version that serves all other requests.
            package: The project's own package, whose types may be loaded; None for none.
            trusted_types: Further types that may be loaded, as `module.Class`.
            signatures: Whether a version's files must be signed, and by whom.
            rule: When a canary is switched off; None for the default.
            count: Called with the results of comparisons, see `ComparisonThread`.
            on_change: Called in the loader's thread with an alias and the version that has it from now on, or None.
            on_rejection: Called when a version is refused.
        """
        self.canary: Canary | None = None
        self.shadow: Shadow | None = None
        self.comparison = ComparisonThread(count)
        self._client, self._model, self._champion = client, model, champion
        self._rule, self._on_change = rule, on_change
        self._percent_problem: str | None = None
        self._followers = {
            alias: Follower(
                client,
                Reference(model, alias=alias),
                package=package,
                trusted_types=trusted_types,
                signatures=signatures,
                on_rejection=on_rejection,
                unload_without_alias=True,
            )
            for alias in (Alias.CANARY, Alias.SHADOW)
        }

    def poll(self) -> None:
        """Look up both aliases and the canary's percentage once. If the registry does not respond, nothing changes."""
        for follower in self._followers.values():
            if not follower.poll():
                return
        self._update_canary(self._candidate(Alias.CANARY))
        self._update_shadow(self._candidate(Alias.SHADOW))

    def close(self) -> None:
        """Stop comparing."""
        self.comparison.close()

    def compare(self, batch: CompletedBatch) -> None:
        """Queue a batch for comparison: the canary's rows with the champion, the champion's rows with the shadow."""
        canary, shadow, champion = self.canary, self.shadow, self._champion()
        columns, values = batch.columns, batch.predictions.values
        if canary is not None and batch.served is canary.served:
            if champion is not None:
                self.comparison.compare(canary.served, champion, canary.agreement, columns, values)
        elif shadow is not None and batch.served is champion:
            self.comparison.compare(shadow.served, shadow.served, shadow.agreement, columns, values)

    def describe(self) -> dict[str, Any]:
        """Return `canary` and `shadow` of `/model`."""
        return {
            Alias.CANARY: self.canary.describe() if self.canary else self._refused(Alias.CANARY, self._percent_problem),
            Alias.SHADOW: self.shadow.describe() if self.shadow else self._refused(Alias.SHADOW),
        }

    def _candidate(self, alias: str) -> ServedModel | None:
        """Return the loaded version with an alias, or None if there is none or it is the champion."""
        served, champion = self._followers[alias].current, self._champion()
        if served is None or champion is None or served.model.version == champion.model.version:
            return None
        return served

    def _update_canary(self, served: ServedModel | None) -> None:
        self._percent_problem = None
        percent = None if served is None else self._percent_of(served.model.version)
        if served is None or percent is None:
            if self.canary is not None:
                self.canary = None
                self._on_change(Alias.CANARY, None)
        elif self.canary is None or self.canary.served is not served:
            self._on_change(Alias.CANARY, served)
            self.canary = Canary(served, percent, datetime.now(UTC), self._rule)
        else:
            self.canary.set_percent(percent)

    def _update_shadow(self, served: ServedModel | None) -> None:
        known = self.shadow.served if self.shadow else None
        if served is not known:
            self._on_change(Alias.SHADOW, served)
            self.shadow = None if served is None else Shadow(served, datetime.now(UTC))

    def _percent_of(self, version: str) -> float | None:
        """Return a canary's percentage from its tag: the current one if the registry is down, None if it is invalid."""
        try:
            text = self._client.tag_of(Reference(self._model, version=version), VersionTag.PERCENT)
        except (NotFound, ServiceError):
            return self.canary.percent if self.canary else None
        try:
            percent = float(text or "")
        except ValueError:
            percent = -1.0
        if not 0 <= percent <= 100:
            self._percent_problem = f"its tag {VersionTag.PERCENT} is {text!r:.40}, expected a number from 0 to 100."
            return None
        return percent

    def _refused(self, alias: str, problem: str | None = None) -> dict[str, Any] | None:
        follower = self._followers[alias]
        if problem is not None and follower.current is not None:
            return {"version": follower.current.model.version, "state": "refused", "reason": problem}
        rejections = sorted(follower.state.rejected.values(), key=lambda rejection: rejection.at)
        if not rejections or follower.current is not None:
            return None
        return {"version": rejections[-1].version, "state": "refused", "reason": rejections[-1].reason}
