"""Keep the right version loaded: look for it, load it beside the old one, try it, and swap. `lookup` asks the registry; `app` answers with it."""

import logging
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from platform_lib.data.rows import columns_of, rows_of
from platform_lib.errors import NotFound, ServiceError
from platform_lib.registry.reference import Reference
from platform_lib.serving.models.polling import PollingThread
from platform_lib.serving.models.registry_client import RegistryClient, ResolvedVersion
from platform_lib.serving.models.served_model import LoaderState, Rejection, ServedModel
from platform_lib.serving.models.service_time import measure
from platform_lib.serving.models.validation import VersionRejected, validate

log = logging.getLogger("platform_lib.serving")

_LONGEST_WAIT_S = 30.0


class Follower:
    """Keeps the version that one reference means loaded, each time it is told to look. One thread uses it; whoever answers reads `current`."""

    def __init__(
        self,
        client: RegistryClient,
        reference: Reference,
        *,
        package: str | None,
        trusted_types: tuple[str, ...] = (),
        on_swap: Callable[[ServedModel], None] = lambda served: None,
        on_rejection: Callable[[Rejection], None] = lambda rejection: None,
        leaves: bool = False,
    ) -> None:
        """Prepare.

        Args:
            package: The project's own package, whose types may be loaded.
            on_swap: Called just before a version begins to answer.
            on_rejection: Called when a version was not taken.
            leaves: Whether the version goes when its alias does. A champion stays until there is another.
        """
        self.state = LoaderState(reference=str(reference), alias=reference.alias)
        self._client, self._reference = client, reference
        self._package, self._trusted_types, self._leaves = package, trusted_types, leaves
        self._on_swap, self._on_rejection = on_swap, on_rejection
        self._given_up: tuple[str, str] | None = None
        self._is_closed = False

    @property
    def current(self) -> ServedModel | None:
        """The version that answers now. Read it once a request: the next read may give another one."""
        return self.state.current

    def poll(self) -> bool:
        """Look once, and take what is found.

        Returns:
            Whether the registry answered.
        """
        current = self.state.current
        try:
            found = self._client.find(self._reference, known_version=current.model.version if current else None)
            if found is not None:
                self._take(found)
        except NotFound as err:
            if self._leaves:
                self._leave()
            else:
                self._not_reached(str(err), answered=True)
        except ServiceError as err:
            self._not_reached(str(err), answered=False)
            return False
        else:
            if found is None:
                self._given_up = None  # the alias is back where we are: what was refused may be tried again later
            self._reached()
        return True

    def _leave(self) -> None:
        if self.state.current is not None:
            log.info(
                "version %s of %s is no longer its %s",
                self.state.current.model.version,
                self._reference.name,
                self._reference.alias,
            )
        self.state.current = None
        self.state.rejected = {}
        self._given_up = None

    def _take(self, found: ResolvedVersion) -> None:
        key = (found.version, found.sha256)
        if key == self._given_up:
            return
        try:
            served = self._load(found)
        except VersionRejected as err:
            self._given_up = key
            rejection = Rejection(version=found.version, check=err.check, reason=str(err), at=datetime.now(UTC))
            self.state.rejected = {**self.state.rejected, found.version: rejection}
            self.state.waiting_for = f"version {found.version} was refused: {err}"
            log.error("version %s of %s is refused: %s", found.version, found.name, err)
            self._on_rejection(rejection)
            return
        self._on_swap(served)
        self.state.current = served
        self.state.rejected = {
            version: rejection for version, rejection in self.state.rejected.items() if version != found.version
        }
        self._given_up = None
        for note in served.notes:
            log.warning("version %s of %s: %s", found.version, found.name, note)
        log.info(
            "version %s of %s %s",
            found.version,
            found.name,
            f"is its {self._reference.alias}" if self._leaves else "serves",
        )

    def _load(self, found: ResolvedVersion) -> ServedModel:
        with tempfile.TemporaryDirectory(prefix="mlp-model-", ignore_cleanup_errors=True) as scratch:
            folder = found.fetch(Path(scratch) / "model")
            validated = validate(found, folder, package=self._package, trusted_types=self._trusted_types)
        model = validated.model
        row = rows_of([validated.example], model.contract)[0]
        served = ServedModel(
            model=model,
            tags=found.tags,
            example=validated.example,
            sample=validated.sample,
            samples=validated.samples,
            profile=validated.profile,
            notes=validated.notes,
            since=datetime.now(UTC),
            selection=validated.selection,
        )
        return replace(
            served, service_time=measure(lambda rows: served.predict(columns_of(rows, served.features)), row)
        )

    def _reached(self) -> None:
        if self.state.registry_error is not None:
            log.info("the registry answers again")
        self.state.registry_error = None

    def _not_reached(self, reason: str, *, answered: bool) -> None:
        if reason != self.state.registry_error and not self._is_closed:
            log.log(
                logging.INFO if answered else logging.WARNING,
                "%s%s",
                reason,
                " The served version stays." if self.state.current else "",
            )
        self.state.registry_error = reason
        if self.state.current is None:
            self.state.waiting_for = reason


class ModelLoader(Follower):
    """A follower with a thread of its own. A pinned reference is loaded once; an alias is looked up again and again."""

    def __init__(
        self,
        client: RegistryClient,
        reference: Reference,
        *,
        package: str | None,
        trusted_types: tuple[str, ...] = (),
        poll_s: float = 2.0,
        on_swap: Callable[[ServedModel], None] = lambda served: None,
        on_rejection: Callable[[Rejection], None] = lambda rejection: None,
        after_poll: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            poll_s: Seconds between two looks, give or take a fifth, so that many servers do not ask at once.
            on_swap: Called in the loader's thread, just before a version begins to answer.
            after_poll: Called in the loader's thread after each look that the registry answered.
        """
        super().__init__(
            client, reference, package=package, trusted_types=trusted_types, on_swap=on_swap, on_rejection=on_rejection
        )
        self._after_poll = after_poll
        self._polled = threading.Event()
        self._polling = PollingThread("model-loader", self._poll_once, every_s=poll_s, longest_s=_LONGEST_WAIT_S)

    def start(self) -> None:
        """Begin to look; returns at once."""
        self._polling.start()

    def wait_for_first_poll(self, timeout_s: float) -> None:
        """Return when the registry was asked once, and what it named is loaded or refused."""
        self._polled.wait(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Stop looking. What is loaded goes on answering."""
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
