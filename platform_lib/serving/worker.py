"""Put one worker together from what the command line and the environment say: loader, access, metrics, log and application."""

import gc
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import anyio.to_thread

from platform_lib.errors import UsageError
from platform_lib.names import Alias, Env
from platform_lib.registry.reference import parse_reference
from platform_lib.serving.telemetry.logs import log_to_stderr
from platform_lib.settings import find_project
from platform_lib.user_code import make_importable

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from platform_lib.serving.auth.access import Access
    from platform_lib.serving.limits import Limits
    from platform_lib.serving.models.served_model import ServedModel


_KEYS_RECHECK_S = 0.2
_GARBAGE_OBJECTS = 10_000
"""Objects between two collections: with Python's own number one request of a thousand rows would start several."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerOptions:
    """What a worker needs to know; plain values, so that it can be told to another process."""

    reference: str
    tracking_uri: str
    poll_s: float = 2.0
    project_root: str | None = None
    keys: str | None = None
    """Key file."""
    log: str | None = None
    """Place of the request log: a folder or `s3://bucket/prefix`."""
    log_policy: Literal["drop", "block"] = "drop"
    metrics: bool = False
    first_poll_s: float = 0.0
    """How long a worker waits for its model before it takes requests, so that one of several is not asked before it can answer."""
    max_body_mib: float = 16.0
    max_rows: int = 10_000
    concurrency: int = 4
    queue: int = 256
    request_timeout_s: float = 30.0
    body_timeout_s: float = 20.0
    canary_max_failures: float = 5.0
    """Percent of its requests that a canary may fail before it is switched off."""


def limits_from(options: WorkerOptions) -> "Limits":
    """The limits on requests."""
    from platform_lib.serving.limits import Limits

    return Limits(
        max_body_bytes=int(options.max_body_mib * 2**20),
        max_rows=options.max_rows,
        concurrency=options.concurrency,
        queue=options.queue,
        request_timeout_s=options.request_timeout_s,
        body_timeout_s=options.body_timeout_s,
    )


def has_issuer() -> bool:
    """Whether tokens of an OpenID Connect issuer are accepted."""
    return bool(os.environ.get(Env.OIDC_ISSUER))


def open_access(options: WorkerOptions) -> "Access":
    """Keys from the file and tokens of the issuer that `MLP_OIDC_ISSUER` and `MLP_OIDC_AUDIENCE` name.

    Raises:
        UsageError: The key file is broken or not there, or the issuer has no audience.
    """
    from platform_lib.serving.auth.access import Access

    keys = tokens = None
    if options.keys is not None:
        from platform_lib.serving.auth.api_keys import KeyRing

        if not Path(options.keys).is_file():
            raise UsageError(
                f"the key file {options.keys} does not exist: make a key with `mlp keys new NAME --file {options.keys}`."
            )
        keys = KeyRing(Path(options.keys), _KEYS_RECHECK_S)
    if has_issuer():
        import httpx

        from platform_lib.serving.auth.oidc import OidcSettings, TokenVerifier

        audience = os.environ.get(Env.OIDC_AUDIENCE, "")
        if not audience:
            raise UsageError(
                "MLP_OIDC_ISSUER is set, but MLP_OIDC_AUDIENCE is not: tokens made for others would pass. Name this server's audience."
            )
        algorithms = tuple(os.environ.get(Env.OIDC_ALGORITHMS, "RS256,ES256").replace(" ", "").split(","))
        settings = OidcSettings(issuer=os.environ[Env.OIDC_ISSUER], audience=audience, algorithms=algorithms)
        tokens = TokenVerifier(settings, httpx.AsyncClient())
    return Access(keys, tokens)


def build_app(options: WorkerOptions, on_ready: Callable[["ServedModel"], None] = lambda served: None) -> "ASGIApp":
    """The application with all that it needs; its lifespan starts and stops it.

    Args:
        on_ready: Called when the first version is about to answer.
    Raises:
        UsageError: As `open_access`, or traces are asked for and cannot be had.
    """
    from platform_lib.serving.http.app import create_app
    from platform_lib.serving.models.loader import ModelLoader
    from platform_lib.serving.models.registry_client import open_registry_client
    from platform_lib.serving.models.validation import Check
    from platform_lib.serving.request_log.recorder import LogSettings, RequestLog
    from platform_lib.serving.rollout.canary import CanaryRule
    from platform_lib.serving.rollout.controller import RolloutController
    from platform_lib.serving.telemetry.metrics import ServerMetrics
    from platform_lib.serving.telemetry.tracing import Tracing, wants_tracing

    project = find_project(Path(options.project_root)) if options.project_root else None
    if project is not None:
        make_importable(project)
    reference = parse_reference(options.reference, project.name if project else None)
    access = open_access(options)
    metrics = ServerMetrics() if options.metrics else None
    if metrics:
        metrics.announce_rejection_reasons(reference.name, get_args(Check))
    tracing = Tracing(reference.name) if wants_tracing() else None

    def count(role: "ServedModel", result: str, rows: int) -> None:
        if metrics:
            metrics.count_compared(role.model.name, role.model.version, result, rows)

    def on_change(alias: str, served: "ServedModel | None") -> None:
        if metrics and served is None:
            metrics.alias_removed(alias)
        elif metrics and served is not None:
            metrics.version_activated(
                served.model.name,
                served.model.version,
                alias,
                served.profile,
                is_fast=served.selection.fast is not None,
            )

    def on_swap(served: "ServedModel") -> None:
        if metrics:
            metrics.version_activated(
                served.model.name,
                served.model.version,
                reference.alias or "",
                served.profile,
                is_fast=served.selection.fast is not None,
            )
        if loader.current is None:
            # What is loaded by now stays: a collection that walks through all of it would hold requests up for a tenth of a second.
            gc.collect()
            gc.freeze()
            gc.set_threshold(_GARBAGE_OBJECTS)
            on_ready(served)

    client = open_registry_client(options.tracking_uri)
    types: dict[str, Any] = {
        "package": project.package if project else None,
        "trusted_types": project.trusted_types if project else (),
        "on_rejection": lambda rejection: (
            metrics.version_rejected(reference.name, rejection.check) if metrics else None
        ),
    }
    rollout = None
    if reference.alias == Alias.CHAMPION:
        rollout = RolloutController(
            client,
            reference.name,
            lambda: loader.current,
            rule=CanaryRule(max_failures=options.canary_max_failures / 100),
            count=count,
            on_change=on_change,
            **types,
        )
    loader = ModelLoader(
        client,
        reference,
        poll_s=options.poll_s,
        on_swap=on_swap,
        after_poll=rollout.poll if rollout else lambda: None,
        **types,
    )
    settings = LogSettings(location=options.log, policy=options.log_policy) if options.log else None
    request_log = (
        RequestLog(settings, on_drop=metrics.log_dropped.inc if metrics else lambda _rows: None) if settings else None
    )

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        loader.start()
        await anyio.to_thread.run_sync(loader.wait_for_first_poll, options.first_poll_s)
        try:
            yield
        finally:
            loader.close(timeout_s=1.0)
            if rollout:
                rollout.close()
            if request_log:
                request_log.close()
            if tracing:
                await anyio.to_thread.run_sync(tracing.close)

    app = create_app(
        loader,
        limits_from(options),
        access=access,
        metrics=metrics,
        request_log=request_log,
        rollout=rollout,
        running=running,
    )
    return tracing.wrap(app) if tracing else app


def export_options(options: WorkerOptions) -> None:
    """Leave the options where `create_worker_app` finds them."""
    os.environ[Env.WORKER_OPTIONS] = json.dumps(asdict(options))


def create_worker_app() -> "ASGIApp":
    """What uvicorn calls in each worker."""
    log_to_stderr(as_json=not sys.stderr.isatty())
    return build_app(WorkerOptions(**json.loads(os.environ[Env.WORKER_OPTIONS])))
