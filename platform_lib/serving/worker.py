"""Assemble one worker from its options and the environment: loader, access, metrics, request log and application."""

import gc
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import anyio.to_thread

from platform_lib.errors import UsageError
from platform_lib.model.signing.verification import SignaturePolicy
from platform_lib.names import Alias, Env
from platform_lib.registry.reference import parse_reference
from platform_lib.registry.signing import signature_policy
from platform_lib.serving.settings import KEYS_RECHECK_S, WorkerOptions
from platform_lib.serving.telemetry.logs import log_to_stderr
from platform_lib.settings import Project, Settings, find_project
from platform_lib.user_code import make_importable

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from platform_lib.serving.auth.access import Access
    from platform_lib.serving.limits import Limits
    from platform_lib.serving.models.served_model import ServedModel


log = logging.getLogger("platform_lib.serving")

_GARBAGE_OBJECTS = 10_000
"""Objects between two collections. With Python's default, one request of a thousand rows would trigger several."""


def limits_from(options: WorkerOptions) -> "Limits":
    """Return the limits on requests."""
    from platform_lib.serving.limits import Limits

    return Limits(
        max_body_bytes=int(options.max_body_mib * 2**20),
        body_memory_bytes=int(options.body_memory_mib * 2**20),
        max_rows=options.max_rows,
        concurrency=options.concurrency,
        queue=options.queue,
        request_timeout_s=options.request_timeout_s,
        body_timeout_s=options.body_timeout_s,
    )


def signatures_from(options: WorkerOptions, project: Project | None) -> SignaturePolicy:
    """Return whether versions must be signed, and by whom.

    Raises:
        UsageError: The trusted keys are missing or cannot be read.
    """
    return signature_policy(project, Settings(signatures=options.signatures, signers=options.signers))


def has_issuer() -> bool:
    """Return whether tokens of an OIDC issuer are accepted."""
    return bool(os.environ.get(Env.OIDC_ISSUER))


def open_access(options: WorkerOptions) -> "Access":
    """Open the key file, and the OIDC issuer that the environment names.

    Raises:
        UsageError: The key file is broken or missing, or the issuer has no audience.
    """
    from platform_lib.serving.auth.access import Access

    keys = tokens = None
    if options.keys is not None:
        from platform_lib.serving.auth.api_keys import KeyRing

        if not Path(options.keys).is_file():
            raise UsageError(
                f"the key file {options.keys} does not exist. "
                f"Create a key with `mlp keys new NAME --file {options.keys}`."
            )
        keys = KeyRing(Path(options.keys), KEYS_RECHECK_S)
    if has_issuer():
        import httpx

        from platform_lib.serving.auth.oidc import OidcSettings, TokenVerifier

        audience = os.environ.get(Env.OIDC_AUDIENCE, "")
        if not audience:
            raise UsageError(
                "MLP_OIDC_ISSUER is set, but MLP_OIDC_AUDIENCE is not: tokens for other services would be accepted. "
                "Set it to the audience of this server."
            )
        algorithms = tuple(os.environ.get(Env.OIDC_ALGORITHMS, "RS256,ES256").replace(" ", "").split(","))
        settings = OidcSettings(issuer=os.environ[Env.OIDC_ISSUER], audience=audience, algorithms=algorithms)
        tokens = TokenVerifier(settings, httpx.AsyncClient())
    return Access(keys, tokens)


def build_app(options: WorkerOptions, on_ready: Callable[["ServedModel"], None] = lambda served: None) -> "ASGIApp":
    """Build the application with everything that it needs. Its lifespan starts and stops the parts.

    Args:
        options: Of this worker.
        on_ready: Called when the first version is about to be served.
    Raises:
        UsageError: As `open_access`.
    """
    from platform_lib.serving.http.app import create_app
    from platform_lib.serving.http.host_check import HostCheck
    from platform_lib.serving.models.loader import ModelLoader
    from platform_lib.serving.models.open_registry import open_registry_client
    from platform_lib.serving.models.validation import Check
    from platform_lib.serving.request_log.no_log import NoRequestLog
    from platform_lib.serving.request_log.recorder import LogSettings, RequestLog
    from platform_lib.serving.rollout.canary import CanaryRule
    from platform_lib.serving.rollout.controller import RolloutController
    from platform_lib.serving.rollout.no_rollout import NoRollout
    from platform_lib.serving.telemetry.metrics import ServerMetrics
    from platform_lib.serving.telemetry.no_metrics import NoMetrics
    from platform_lib.serving.telemetry.tracing import open_tracing
    from platform_lib.serving.transport.shutdown import respond_if_cancelled

    project = find_project(Path(options.project_root)) if options.project_root else None
    if project is not None:
        make_importable(project)
    reference = parse_reference(options.reference, project.name if project else None)
    access = open_access(options)
    metrics: ServerMetrics | NoMetrics = ServerMetrics() if options.metrics else NoMetrics()
    metrics.announce_rejection_reasons(reference.name, get_args(Check))
    tracing = open_tracing(reference.name)
    if options.connection_problem is not None:
        log.warning("%s", options.connection_problem)

    def count_compared(served: "ServedModel", result: str, rows: int) -> None:
        metrics.count_compared(served.model.name, served.model.version, result, rows)

    def on_change(alias: str, served: "ServedModel | None") -> None:
        if served is None:
            metrics.alias_removed(alias)
        else:
            model, is_fast = served.model, served.selection.fast is not None
            metrics.version_activated(model.name, model.version, alias, served.profile, is_fast=is_fast)

    def on_swap(served: "ServedModel") -> None:
        on_change(reference.alias or "", served)
        if loader.current is None:
            # Everything loaded so far stays. A collection that scans all of it would block requests for 0.1 s.
            gc.collect()
            gc.freeze()
            gc.set_threshold(_GARBAGE_OBJECTS)
            on_ready(served)

    client = open_registry_client(options.tracking_uri)
    validation: dict[str, Any] = {
        "package": project.package if project else None,
        "trusted_types": project.trusted_types if project else (),
        "signatures": signatures_from(options, project),
        "on_rejection": lambda rejection: metrics.version_rejected(reference.name, rejection.check),
    }
    rollout: RolloutController | NoRollout = NoRollout()
    if reference.alias == Alias.CHAMPION:
        rollout = RolloutController(
            client,
            reference.name,
            lambda: loader.current,
            rule=CanaryRule(max_failures=options.canary_max_failures / 100),
            count=count_compared,
            on_change=on_change,
            **validation,
        )
    loader = ModelLoader(
        client, reference, poll_s=options.poll_s, on_swap=on_swap, after_poll=rollout.poll, **validation
    )
    request_log: RequestLog | NoRequestLog = NoRequestLog()
    if options.log:
        log_settings = LogSettings(location=options.log, policy=options.log_policy)
        request_log = RequestLog(log_settings, on_drop=metrics.count_log_drops)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        loader.start()
        await anyio.to_thread.run_sync(loader.wait_for_first_poll, options.first_poll_s)
        try:
            yield
        finally:
            loader.close(timeout_s=1.0)
            rollout.close()
            request_log.close()
            await anyio.to_thread.run_sync(tracing.close)

    app = create_app(
        loader,
        limits_from(options),
        access=access,
        metrics=metrics,
        request_log=request_log,
        rollout=rollout,
        connection_problem=options.connection_problem,
        host_check=HostCheck(options.hosts, options.cors_allowed_origins) if options.hosts is not None else None,
        cors_allowed_origins=options.cors_allowed_origins,
        lifespan=lifespan,
    )
    return respond_if_cancelled(tracing.wrap(app))


def export_options(options: WorkerOptions) -> None:
    """Put the options into the environment, where `create_worker_app` finds them."""
    os.environ[Env.WORKER_OPTIONS] = json.dumps(asdict(options))


def create_worker_app() -> "ASGIApp":
    """Create the application. uvicorn calls this in each worker."""
    log_to_stderr(as_json=not sys.stderr.isatty())
    return build_app(WorkerOptions(**json.loads(os.environ[Env.WORKER_OPTIONS])))
