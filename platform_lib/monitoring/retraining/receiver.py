"""Receive Alertmanager's calls, and start one retraining per cooldown: `mlp monitor receive`."""

import hmac
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from platform_lib.errors import NotFound, PlatformError, ServiceError, UsageError
from platform_lib.files import write_atomically
from platform_lib.monitoring.retraining.alerts import read_call
from platform_lib.monitoring.retraining.inbox import Inbox, Waiting
from platform_lib.monitoring.retraining.retrain import Reason, Started

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

LARGEST_BODY = 2**20
"""Bytes of a call; one alert has about 1,000."""
_log = logging.getLogger("platform_lib.monitoring")


def ensure_token(file: Path) -> str:
    """Read the token that callers send; create it, in a file that only its owner can read, if there is none.

    Raises:
        UsageError: The file has no token of 20 characters or more.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, f"{secrets.token_urlsafe(32)}\n", mode=0o600)
    token = file.read_text(encoding="utf-8").strip()
    if len(token) < 20:
        raise UsageError(
            f"{file} has a token of {len(token)} characters, expected 20 or more: delete it for a new one."
        )
    if os.name == "posix" and file.stat().st_mode & 0o077:
        raise UsageError(f"{file} can be read by other users: run `chmod 600 {file}`, or delete it for a new one.")
    return token


class Receiver:
    """Decides on alerts, and starts what was accepted in a thread of its own."""

    def __init__(
        self,
        inbox: Inbox,
        start: Callable[[Reason, str], Started],
        *,
        model: str,
        cooldown_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Create a receiver; `run` starts its thread.

        Args:
            inbox: Stores what was accepted.
            start: Starts a retraining, given the reason and a key that is equal in each attempt. A ServiceError or
                NotFound makes it try again later, any other error gives up.
            model: Alerts on other models are ignored.
            cooldown_s: Seconds after an accepted retraining in which no other is accepted.
            clock: Seconds since the epoch.
        """
        from prometheus_client import CollectorRegistry, Counter, Gauge

        self._inbox, self._start, self._model, self._cooldown_s, self._clock = inbox, start, model, cooldown_s, clock
        self._wake, self._stopping = Event(), False
        self.registry = CollectorRegistry()
        self._alerts = Counter(
            "mlp_retrain_alerts",
            "Alerts and refused calls, by what became of them.",
            ["outcome"],
            registry=self.registry,
        )
        self._runs = Counter(
            "mlp_retrain_runs", "Attempts to start a retraining, by outcome.", ["outcome"], registry=self.registry
        )
        Gauge(
            "mlp_retrain_waiting", "Accepted retrainings that are not started yet.", registry=self.registry
        ).set_function(lambda: len(self._inbox.waiting()))

    def receive(self, body: bytes) -> dict[str, int]:
        """Decide on the alerts of a call; what is accepted is on disk when this returns.

        Returns:
            Number of alerts by outcome: `queued`, `known`, `cooldown`, `resolved`, `other`.
        Raises:
            UsageError: The body is no such call.
        """
        outcomes: dict[str, int] = {}
        for alert in read_call(body):
            if alert.status != "firing":
                outcome = "resolved"
            elif alert.cause is None or alert.labels.get("model") != self._model:
                outcome = "other"
            else:
                outcome = self._inbox.accept(alert, model=self._model, now=self._clock(), cooldown_s=self._cooldown_s)
                _log.info("%s of %s: %s", alert.labels["alertname"], self._model, outcome)
            self.count(outcome)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        self._wake.set()
        return outcomes

    def count(self, outcome: str) -> None:
        """Count an alert or a refused call."""
        self._alerts.labels(outcome=outcome).inc()

    @asynccontextmanager
    async def run(self, app: object = None) -> AsyncIterator[None]:
        """Start accepted retrainings, those of an earlier process included, until the block ends."""
        thread = Thread(target=self._work, name="retrainings", daemon=True)
        thread.start()
        yield
        self._stopping = True
        self._wake.set()

    def _work(self) -> None:
        while not self._stopping:
            self._wake.clear()
            waiting = self._inbox.waiting()
            pause = waiting[0].next_try - self._clock() if waiting else None
            if pause is None or pause > 0:
                self._wake.wait(pause)
            else:
                self.attempt(waiting[0])

    def attempt(self, run: Waiting) -> None:
        """Try to start one retraining, and store what became of it."""
        try:
            started = self._start(run.reason, run.key)
        except (ServiceError, NotFound, OSError) as err:
            _log.warning("the retraining of %s is tried again later: %s", self._model, err)
            self._runs.labels(outcome="put off").inc()
            self._inbox.failed(run, self._clock())
        except PlatformError as err:
            _log.error("the retraining of %s was given up: %s", self._model, err)
            self._runs.labels(outcome="given up").inc()
            self._inbox.ended(run, f"given up: {err}")
        except Exception:
            _log.exception("the retraining of %s failed and is tried again later", self._model)
            self._runs.labels(outcome="put off").inc()
            self._inbox.failed(run, self._clock())
        else:
            _log.info("the retraining of %s was started: %s", self._model, started.outcome)
            self._runs.labels(outcome="started").inc()
            self._inbox.ended(run, started.outcome)


def receiver_app(receiver: Receiver, token: str) -> "Starlette":
    """The HTTP application: `POST /alerts` with the token, `GET /healthz` and `GET /metrics` without."""
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    expected = f"Bearer {token}".encode()

    async def alerts(request: "Request") -> "Response":
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
            receiver.count("unauthorized")
            return JSONResponse(
                {"detail": "the token is missing or wrong."}, 401, headers={"WWW-Authenticate": "Bearer"}
            )
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LARGEST_BODY:
                receiver.count("invalid")
                return JSONResponse({"detail": f"the body is larger than {LARGEST_BODY} bytes."}, 413)
        try:
            return JSONResponse(await run_in_threadpool(receiver.receive, body))
        except UsageError as err:
            receiver.count("invalid")
            return JSONResponse({"detail": str(err)}, 400)

    async def healthy(request: "Request") -> "Response":
        return PlainTextResponse("ok")

    async def metrics(request: "Request") -> "Response":
        text = await run_in_threadpool(generate_latest, receiver.registry)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    routes = [
        Route("/alerts", alerts, methods=["POST"]),
        Route("/healthz", healthy),
        Route("/metrics", metrics),
    ]
    return Starlette(routes=routes, lifespan=receiver.run)
