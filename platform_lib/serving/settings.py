"""Defaults and options of the model server: every default is written here once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from platform_lib.errors import UsageError
from platform_lib.names import Port

HOST = "127.0.0.1"
PORT: int = Port.MODEL_SERVER
WORKERS = 1
POLL_S = 2.0
"""Between two polls of the registry's alias."""
MAX_BODY_MIB = 16.0
BODY_MEMORY_MIB = 64.0
"""Bodies that a worker holds at the same time; further ones get 503."""
MAX_ROWS = 10_000
"""Per request."""
CONCURRENCY = 4
"""Long predictions that run concurrently in a worker."""
QUEUE = 256
"""Requests that may wait for one of them."""
REQUEST_TIMEOUT_S = 30.0
BODY_TIMEOUT_S = 20.0
HEAD_TIMEOUT_S = 20.0
"""From the first byte of a request's head to its last."""
KEEP_ALIVE_S = 120.0
"""How long an idle connection stays open. Longer than a proxy keeps its own (Traefik: 90 s), so that the proxy closes
first and never sends a request on a connection that the server is closing."""
WRITE_TIMEOUT_S = 60.0
"""How long a client may leave a response unread."""
MAX_CONNECTIONS = 4_096
"""Per worker; fewer if the limit of open files is lower. Idle connections are closed for new ones."""
MAX_PENDING_MIB = 32.0
"""Bytes that a worker holds of incomplete heads and of requests that were sent ahead of their turn, in all."""
CANARY_MAX_FAILURES_PERCENT = 5.0
LogPolicy = Literal["drop", "block"]
LOG_POLICY: LogPolicy = "drop"
OPEN_FILES = 65_536
"""The soft limit that the server asks for: every connection is an open file."""
OWN_FILES = 128
"""Of the open files, for everything but connections."""
SHUTDOWN_MARGIN_S = 3
"""After SIGTERM, requests in flight have the time that a request has, and this much more."""
BACKLOG = 2_048
"""Connections that the kernel holds until the server accepts them."""
FIRST_POLL_S = 60.0
"""How long one of several workers waits for its model before it accepts requests."""
KEYS_RECHECK_S = 0.2
"""Between two checks whether the key file changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerOptions:
    """Options of the process; `WorkerOptions` are those of each worker."""

    reference: str | None = None
    """None is the project's champion."""
    host: str = HOST
    port: int = PORT
    """0 takes a free one."""
    metrics_port: int | None = None
    """Port of `/metrics`, None for no metrics. Never the port of the API, so that no route leads to it."""
    workers: int = WORKERS
    allowed_hosts: tuple[str, ...] = ()
    """Names besides those of loopback that requests to a server on loopback may have as Host."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Further fields of `WorkerOptions`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerOptions:
    """Options of a worker: plain values, so that they can be passed to another process."""

    reference: str
    tracking_uri: str
    poll_s: float = POLL_S
    project_root: str | None = None
    hosts: Sequence[str] | None = None
    """Names that requests may have as Host; None accepts every one."""
    keys: str | None = None
    """Path of the key file."""
    signatures: str | None = None
    """`off`, `warn` or `require`; None is the project's, else `warn` if there are trusted keys."""
    signers: str | None = None
    """File of the public keys that are trusted to sign versions; None is the project's."""
    log: str | None = None
    """Place of the request log: a folder or `s3://bucket/prefix`."""
    log_policy: LogPolicy = LOG_POLICY
    metrics: bool = False
    connection_problem: str | None = None
    """Why the fast connections are not used; None if they are."""
    first_poll_s: float = 0.0
    """How long the worker waits for its model before it accepts requests, so that no request reaches it too early."""
    max_body_mib: float = MAX_BODY_MIB
    body_memory_mib: float = BODY_MEMORY_MIB
    max_rows: int = MAX_ROWS
    concurrency: int = CONCURRENCY
    queue: int = QUEUE
    request_timeout_s: float = REQUEST_TIMEOUT_S
    body_timeout_s: float = BODY_TIMEOUT_S
    keep_alive_s: float = KEEP_ALIVE_S
    cors_allowed_origins: tuple[str, ...] = ()
    """Origins whose pages may call the server from a browser."""
    canary_max_failures: float = CANARY_MAX_FAILURES_PERCENT
    """Percent of its requests that a canary may fail before it is switched off."""

    def __post_init__(self) -> None:
        check_origins(self.cors_allowed_origins)


def check_origins(origins: Sequence[str]) -> None:
    """Check origins as browsers send them.

    Raises:
        UsageError: One is not `scheme://host` or `scheme://host:port`, or `*`, which allows every origin.
    """
    for origin in origins:
        parts = urlsplit(origin)
        exact = f"{parts.scheme}://{parts.netloc}"
        if origin != "*" and not (parts.scheme in ("http", "https") and parts.hostname and origin == exact.lower()):
            raise UsageError(
                f"the CORS origin is {origin!r}, expected the form https://app.example.com or "
                "http://localhost:3000, in lower case and without a path; or * for every origin."
            )
