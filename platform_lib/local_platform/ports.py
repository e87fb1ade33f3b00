"""Which port each service gets, and who holds one that is taken. Binds nothing for longer than the question takes."""

import errno
import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack, suppress

import psutil

from platform_lib.errors import ServiceError, UsageError
from platform_lib.local_platform.service import HOST
from platform_lib.names import Env, Port

# Nobody opens the runner's address, it only answers whether it is well: any free port does.
USUAL: Mapping[str, int] = {"mlflow": Port.MLFLOW, "prefect": Port.PREFECT, "models": Port.MODEL_SERVER, "runner": 0}
OPTIONS: Mapping[str, str] = {"mlflow": "--mlflow-port", "prefect": "--prefect-port", "models": "--model-port"}


def choose(
    requested: Mapping[str, int], *, kept: Mapping[str, int], running: Mapping[str, int], auto: bool
) -> dict[str, int]:
    """Decide every service's port: the requested one, else the one it had, else a free one (`auto`) or the usual one.

    Args:
        requested: Ports from the command line.
        kept: Ports of recorded services, running or dead: addresses stay over a restart.
        running: Ports that our own living services hold.
        auto: Let the system choose where nothing is requested or kept.
    Raises:
        ServiceError: A port is taken by someone else; says by whom and what to do.
    """
    ports: dict[str, int] = {}
    for name, usual in USUAL.items():
        port = requested.get(name) or kept.get(name) or (0 if auto else usual)
        if (auto or not usual) and name not in requested and port and running.get(name) != port and not is_free(port):
            port = 0
        ports[name] = port
    free = iter(free_ports(sum(port == 0 for port in ports.values())))
    ports = {name: port or next(free) for name, port in ports.items()}
    for name, port in ports.items():
        twin = next((other for other in ports if other != name and ports[other] == port), None)
        if twin is not None:
            raise UsageError(
                f"{name} and {twin} cannot both have port {port}: give one of them another, as with {OPTIONS.get(name, OPTIONS['models'])}."
            )
        if port not in running.values() and not is_free(port):
            raise ServiceError(
                f"port {port}, wanted for {name}, is taken by {holder(port)}. Stop that, choose another port with `mlp up {OPTIONS[name]} PORT`, "
                "or take free ones with `mlp up --auto-ports`."
            )
    return ports


def is_free(port: int) -> bool:
    """Whether a service of ours could listen on a loopback port now."""
    with socket.socket() as probe:
        # A listener on all addresses does not hinder a bind to loopback on macOS, but it would take our callers' requests.
        probe.settimeout(0.5)
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections just closed do not count
        try:
            probe.bind((HOST, port))
        except OSError as err:
            if err.errno == errno.EACCES:
                raise ServiceError(f"port {port} may not be used by you: take one from 1024 upwards.") from err
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, chosen by the system, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def holder(port: int) -> str:
    """Who listens on a port, as far as this user may know: `python (process 123, the local platform of /home/ada/churn)`."""
    process = _listener(port)
    if process is None:
        return "another program (the system does not say which)"
    with suppress(psutil.Error):
        detail = f"process {process.pid}"
        with suppress(psutil.Error, OSError):
            if other := process.environ().get(Env.PLATFORM_OF):
                detail += f", the local platform of {other}: `mlp down` there stops it"
        return f"{process.name()} ({detail})"
    return f"process {process.pid}"


def _listener(port: int) -> psutil.Process | None:
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return psutil.Process(connection.pid)
        return None
    for process in psutil.process_iter():  # macOS shows a user only the connections of own processes
        with suppress(psutil.Error, OSError):
            if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in process.net_connections("tcp")):
                return process
    return None
