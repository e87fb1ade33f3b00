"""Run the model server as a process: choose the model, listen, start workers, and shut down."""

import errno
import ipaddress
import math
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from platform_lib.errors import NotFound, ServiceError, UsageError
from platform_lib.names import Env
from platform_lib.registry.reference import Reference, parse_reference
from platform_lib.serving.models.open_registry import open_registry_client
from platform_lib.serving.rollout.champion_watch import ChampionWatch
from platform_lib.serving.settings import (
    BACKLOG,
    FIRST_POLL_S,
    OPEN_FILES,
    OWN_FILES,
    SHUTDOWN_MARGIN_S,
    ServerOptions,
    WorkerOptions,
)
from platform_lib.serving.telemetry.logs import log_to
from platform_lib.serving.transport.connection_check import FALLBACK, connection_problem
from platform_lib.serving.worker import build_app, export_options, has_issuer, open_access, signatures_from
from platform_lib.settings import Project, Settings, find_project, local_service_url, tracking_uri

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from platform_lib.serving.models.served_model import ServedModel
    from platform_lib.serving.transport.connection_watch import ConnectionLimits

Say = Callable[[str], None]


def run_server(options: ServerOptions, settings: Settings, *, say: Say, note: Say) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        options: Of the command line.
        settings: Of the environment.
        say: Prints a line of results.
        note: Prints a line of notes.
    Raises:
        UsageError: The address must not be used, no model is named, or the key file is broken.
        ServiceError: A port is taken.
    """
    check_host(options.host, has_access=bool(options.settings.get("keys")) or has_issuer())
    from platform_lib.serving.http.host_check import names_on

    hosts = names_on(options.host, options.allowed_hosts)
    project, reference, uri = _resolve(options.reference, settings)
    worker = WorkerOptions(
        reference=str(reference),
        tracking_uri=uri,
        project_root=str(project.root) if project else None,
        hosts=hosts,
        metrics=options.metrics_port is not None,
        connection_problem=connection_problem(),
        first_poll_s=FIRST_POLL_S if options.workers > 1 else 0.0,
        **options.settings,
    )
    needs_key = not open_access(worker).is_open
    signatures_from(worker, project)
    limits = connection_limits(worker, max_files=_allow_many_files())
    listener = open_listener(options.host, options.port)
    watch = ChampionWatch(open_registry_client(uri), reference.name) if worker.metrics else None
    try:
        port = listener.getsockname()[1]
        url = f"http://{f'[{options.host}]' if ':' in options.host else options.host}:{port}"
        if watch is not None:
            say(f"Metrics on http://{options.host}:{_show_metrics(options, reference.name, watch)}/metrics.")
        say(f"{reference} on {url}, described at {url}/docs. Ctrl-C ends it.")
        _prepare(uri, reference)
        if options.workers > 1:
            _run_workers(options.workers, listener, worker, uvicorn_options(worker, limits))
        else:
            log_to(note, as_json=os.environ.get(Env.LOG_FORMAT) == "json")

            def on_ready(served: "ServedModel") -> None:
                from platform_lib.serving.models.described_model import curl_example

                say(f"Version {served.model.version} is ready. {curl_example(url, served, needs_key=needs_key)}")

            _run(listener, build_app(worker, on_ready), uvicorn_options(worker, limits))
    finally:
        listener.close()
        if watch is not None:
            watch.close()
            from platform_lib.serving.telemetry.metrics import remove_metrics_folder

            remove_metrics_folder()
    note("The model server has ended.")


def _allow_many_files() -> int | None:
    """Raise the soft limit of open files, often 1,024, as far as this user may; return it, None if there is none.

    Every connection is an open file. Workers inherit the limit.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return None if soft == resource.RLIM_INFINITY else soft


def connection_limits(worker: WorkerOptions, *, max_files: int | None = None) -> "ConnectionLimits":
    """Return the limits on a worker's connections.

    Args:
        worker: Its options.
        max_files: How many files a worker may open, some of which are no connections.
    """
    from platform_lib.serving.transport.connection_watch import ConnectionLimits

    limits = ConnectionLimits(keep_alive_s=worker.keep_alive_s, body_timeout_s=worker.body_timeout_s)
    if max_files is None:
        return limits
    return replace(limits, max_connections=max(1, min(limits.max_connections, max_files - OWN_FILES)))


def graceful_s(worker: WorkerOptions) -> int:
    """Return how many seconds requests in flight have after SIGTERM: as long as a request may take."""
    return math.ceil(worker.request_timeout_s + SHUTDOWN_MARGIN_S)


def _prepare(uri: str, reference: Reference) -> None:
    client = open_registry_client(uri)
    client.prepare(reference)
    client.close()


def _show_metrics(options: ServerOptions, model: str, watch: ChampionWatch) -> int:
    """Serve `/metrics` of all workers from a thread of this process; return the port."""
    from platform_lib.serving.http.host_check import HostCheck, names_on
    from platform_lib.serving.http.metrics_host import check_hosts_of
    from platform_lib.serving.telemetry.metrics_server import MetricsServer
    from platform_lib.serving.telemetry.scrape import shared_registry

    registry = shared_registry(model)
    registry.register(watch)
    watch.start()
    from prometheus_client import make_wsgi_app

    try:
        server = MetricsServer(options.host, options.metrics_port or 0, make_wsgi_app(registry))
    except OSError as err:
        holder = port_holder(options.metrics_port or 0)
        raise ServiceError(
            f"port {options.metrics_port} for the metrics is taken by {holder}: choose another with --metrics-port."
        ) from err
    if (hosts := names_on(options.host, options.allowed_hosts)) is not None:
        check_hosts_of(server, HostCheck(hosts))
    server.start()
    return int(server.server_address[1])


def _run(listener: socket.socket, app: "ASGIApp", options: dict[str, Any]) -> None:
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, **options))
    # uvicorn raises the signal again after a graceful shutdown, when there is nothing left to do.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: None)
    server.run(sockets=[listener])


def _run_workers(count: int, listener: socket.socket, worker: WorkerOptions, options: dict[str, Any]) -> None:
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    export_options(worker)
    app = "platform_lib.serving.worker:create_worker_app"
    Multiprocess(uvicorn.Config(app, factory=True, workers=count, **options), [listener]).run()


def uvicorn_options(worker: WorkerOptions, limits: "ConnectionLimits") -> dict[str, Any]:
    """Return the options for uvicorn."""
    http: Any = FALLBACK
    if worker.connection_problem is None:
        from platform_lib.serving.transport.connections import connection_class

        http = connection_class(limits)
    return {
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "proxy_headers": False,  # nothing here depends on a caller's address
        "timeout_graceful_shutdown": graceful_s(worker),
        "timeout_keep_alive": math.ceil(limits.keep_alive_s),  # of FALLBACK
        "http": http,
        "ws": "none",
    }


def check_host(host: str, *, has_access: bool = False) -> None:
    """Refuse an address that other machines reach, unless callers must authenticate.

    Raises:
        UsageError: Not an IP address; or not a loopback address, without keys and without an OIDC issuer.
    """
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError as err:
        raise UsageError(f"--host is {host!r}, expected an IP address such as 127.0.0.1.") from err
    if not is_loopback and not has_access:
        raise UsageError(
            f"--host {host} would let other machines call without a key: "
            "create one with `mlp keys new NAME` and start with --keys deploy/keys.yaml, "
            "or name an OIDC issuer (MLP_OIDC_ISSUER)."
        )


def open_listener(host: str, port: int) -> socket.socket:
    """Bind the port, before anything slow happens.

    Raises:
        ServiceError: The port is taken; names the process if the system tells.
        UsageError: The port must not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":
        listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # otherwise a restart would wait for old connections
    else:
        listener.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE", -5), 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as err:
        listener.close()
        if isinstance(err, OSError) and err.errno in (
            errno.EADDRINUSE,
            getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE),
        ):
            raise ServiceError(
                f"port {port} is taken by {port_holder(port)}: "
                f"stop that, or choose another with --port, such as --port {port + 1}."
            ) from err
        raise UsageError(
            f"cannot listen on {host} port {port}: {err}. Choose a port from 1024 to 65535 with --port."
        ) from err
    return listener


def port_holder(port: int) -> str:
    """Return the name of the process that listens on a port, as far as this user may know."""
    try:
        import psutil
    except ImportError:  # not in the serving extra
        return "another program"
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "another program"


def _resolve(text: str | None, settings: Settings) -> tuple[Project | None, Reference, str]:
    try:
        project = find_project()
    except NotFound:
        if not (text and settings.tracking_uri):
            raise
        # A machine that only serves: model and registry are named, and no package of a project is trusted.
        return None, parse_reference(text), settings.tracking_uri
    reference = parse_reference(text, project.name)
    uri = tracking_uri(project, settings)
    if uri == local_service_url(project, "mlflow"):
        # Read the same store without its server, so that `mlp down` does not affect this server.
        uri = f"sqlite:///{project.database.as_posix()}"
    return project, reference, uri
