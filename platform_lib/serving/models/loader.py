"""Load the version that the registry names, and swap it in."""

import logging
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from platform_lib.data.rows import columns_of, rows_of
from platform_lib.errors import NotFound, ServiceError
from platform_lib.model.signing.verification import OFF, SignaturePolicy
from platform_lib.names import Alias, VersionTag
from platform_lib.registry.reference import Reference
from platform_lib.serving.models.polling import PollingThread
from platform_lib.serving.models.registry_client import RegistryClient, ResolvedVersion
from platform_lib.serving.models.served_model import LoaderState, Rejection, ServedModel
from platform_lib.serving.models.service_time import measure
from platform_lib.serving.models.validation import VersionRejected, check_gate, validate

log = logging.getLogger("platform_lib.serving")

_LONGEST_WAIT_S = 30.0
_DECISIVE_TAGS = (VersionTag.GATE, VersionTag.FORCED)


class Follower:
    """Keeps the version that one reference names loaded, updated on each `poll`.

    One thread calls `poll`; any thread may read `current`. A new version is loaded and validated beside the old one and
    then replaces it.
    """

    def __init__(
        self,
        client: RegistryClient,
        reference: Reference,
        *,
        package: str | None,
        trusted_types: tuple[str, ...] = (),
        signatures: SignaturePolicy = OFF,
        on_swap: Callable[[ServedModel], None] = lambda served: None,
        on_rejection: Callable[[Rejection], None] = lambda rejection: None,
        unload_without_alias: bool = False,
    ) -> None:
        """Prepare; `poll` does the first look-up.

        Args:
            client: The registry.
            reference: Model and alias, or model and version.
            package: The project's own package, whose types may be loaded; None for none.
            trusted_types: Further types that may be loaded, as `module.Class`.
            signatures: Whether a version's files must be signed, and by whom.
            on_swap: Called with a version just before it starts to serve.
            on_rejection: Called when a version is refused.
            unload_without_alias: Whether the version is unloaded when its alias is removed. A champion stays until
                another one replaces it.
        """
        self.state = LoaderState(reference=str(reference), alias=reference.alias)
        self._client, self._reference = client, reference
        self._package, self._trusted_types, self._signatures = package, trusted_types, signatures
        self._unload_without_alias = unload_without_alias
        self._on_swap, self._on_rejection = on_swap, on_rejection
        self._last_rejected: tuple[str, ...] | None = None
        self._is_closed = False

    @property
    def current(self) -> ServedModel | None:
        """The version that serves now. Read it once per request: the next read may return another version."""
        return self.state.current

    def poll(self) -> bool:
        """Ask the registry once, and load the version that it names if it is a new one.

        Returns:
            Whether the registry responded.
        """
        current = self.state.current
        try:
            resolved = self._client.find(self._reference, known_version=current.model.version if current else None)
            if resolved is not None:
                self._update(resolved)
        except NotFound as err:
            if self._unload_without_alias:
                self._unload()
            else:
                self._not_resolved(str(err), responded=True)
                self.state.has_nothing_to_serve = self.state.current is None and self._never_promoted()
        except ServiceError as err:
            self._not_resolved(str(err), responded=False)
            return False
        else:
            if resolved is None:
                # The alias is back at the served version: a version refused meanwhile may be tried again later.
                self._last_rejected = None
            self._resolved()
        return True

    def _never_promoted(self) -> bool:
        """Whether the alias was never set. A champion whose alias was lost leaves the one before it as `previous`."""
        if self._reference.alias != Alias.CHAMPION:
            return False
        try:
            self._client.version_of(Reference(self._reference.name, alias=Alias.PREVIOUS))
        except NotFound:
            return True
        except ServiceError:
            return False
        return False

    def _unload(self) -> None:
        if self.state.current is not None:
            log.info(
                "version %s of %s is no longer the %s",
                self.state.current.model.version,
                self._reference.name,
                self._reference.alias,
            )
        self.state.current = None
        self.state.rejected = {}
        self._last_rejected = None

    def _update(self, resolved: ResolvedVersion) -> None:
        self.state.has_nothing_to_serve = False
        # With the tags that decide: a version that was refused by the gate may be promoted with --force later.
        key = (resolved.version, resolved.sha256, *(resolved.tags.get(tag, "") for tag in _DECISIVE_TAGS))
        if key == self._last_rejected:
            return
        try:
            served = self._load(resolved)
        except VersionRejected as err:
            self._last_rejected = key
            rejection = Rejection(version=resolved.version, check=err.check, reason=str(err), at=datetime.now(UTC))
            self.state.rejected = {**self.state.rejected, resolved.version: rejection}
            self.state.waiting_for = f"version {resolved.version} was refused: {err}"
            log.error("version %s of %s is refused: %s", resolved.version, resolved.name, err)
            self._on_rejection(rejection)
            return
        self._on_swap(served)
        self.state.current = served
        self.state.rejected = {
            version: rejection for version, rejection in self.state.rejected.items() if version != resolved.version
        }
        self._last_rejected = None
        for note in served.notes:
            log.warning("version %s of %s: %s", resolved.version, resolved.name, note)
        log.info(
            "version %s of %s %s",
            resolved.version,
            resolved.name,
            f"is the {self._reference.alias}" if self._unload_without_alias else "serves",
        )

    def _load(self, resolved: ResolvedVersion) -> ServedModel:
        check_gate(resolved, self._reference.alias)
        with tempfile.TemporaryDirectory(prefix="mlp-model-", ignore_cleanup_errors=True) as scratch:
            folder = resolved.fetch(Path(scratch) / "model")
            validated = validate(
                resolved,
                folder,
                package=self._package,
                trusted_types=self._trusted_types,
                signatures=self._signatures,
            )
        model = validated.model
        row = rows_of([validated.example], model.contract)[0]
        served = ServedModel(
            model=model,
            tags=resolved.tags,
            example=validated.example,
            example_prediction=validated.example_prediction,
            predicts_made_up_row=validated.predicts_made_up_row,
            reference_answers=validated.reference_answers,
            profile=validated.profile,
            notes=validated.notes,
            signed_by=validated.signed_by,
            since=datetime.now(UTC),
            selection=validated.selection,
        )
        service_time = measure(lambda rows: served.predict(columns_of(rows, served.features)), row)
        return replace(served, service_time=service_time)

    def _resolved(self) -> None:
        if self.state.registry_error is not None:
            log.info("the registry responds again")
        self.state.registry_error = None

    def _not_resolved(self, reason: str, *, responded: bool) -> None:
        if reason != self.state.registry_error and not self._is_closed:
            log.log(
                logging.INFO if responded else logging.WARNING,
                "%s%s",
                reason,
                " The current version keeps serving." if self.state.current else "",
            )
        self.state.registry_error = reason
        if self.state.current is None:
            self.state.waiting_for = reason


class ModelLoader(Follower):
    """A follower with its own thread. It polls for an alias, and stops once a pinned version is loaded."""

    def __init__(
        self,
        client: RegistryClient,
        reference: Reference,
        *,
        package: str | None,
        trusted_types: tuple[str, ...] = (),
        signatures: SignaturePolicy = OFF,
        poll_s: float = 2.0,
        on_swap: Callable[[ServedModel], None] = lambda served: None,
        on_rejection: Callable[[Rejection], None] = lambda rejection: None,
        after_poll: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; `start` starts the thread.

        Args:
            client: The registry; `close` closes it.
            reference: Model and alias, or model and version.
            package: The project's own package, whose types may be loaded; None for none.
            trusted_types: Further types that may be loaded, as `module.Class`.
            signatures: Whether a version's files must be signed, and by whom.
            poll_s: Seconds between two polls, varied by up to 20 % so that many servers do not poll at once.
            on_swap: Called in the loader's thread with a version just before it starts to serve.
            on_rejection: Called in the loader's thread when a version is refused.
            after_poll: Called in the loader's thread after each poll that the registry responded to.
        """
        super().__init__(
            client,
            reference,
            package=package,
            trusted_types=trusted_types,
            signatures=signatures,
            on_swap=on_swap,
            on_rejection=on_rejection,
        )
        self._after_poll = after_poll
        self._polled = threading.Event()
        self._polling = PollingThread("model-loader", self._poll_once, every_s=poll_s, longest_s=_LONGEST_WAIT_S)

    def start(self) -> None:
        """Start polling and return immediately."""
        self._polling.start()

    def wait_for_first_poll(self, timeout_s: float) -> None:
        """Wait up to `timeout_s` seconds for the first poll; its version is then loaded or refused."""
        self._polled.wait(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Stop polling. The loaded version keeps serving."""
        self._is_closed = True
        self._polling.stop()
        self._client.close()
        self._polling.join(timeout_s)

    def _poll_once(self) -> bool:
        try:
            if not self.poll():
                return False
        finally:
            self._polled.set()
        if self._reference.version is not None and self.current is not None:
            self._polling.stop()
        else:
            self._after_poll()
        return True
