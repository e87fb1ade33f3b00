"""Choose a port for each service, and name the program that uses a port."""

import errno
import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack, suppress

import psutil

from platform_lib.errors import ServiceError, UsageError
from platform_lib.local_platform.service import HOST
from platform_lib.names import Env, Port

# The runner's port only serves its health check, so any free port will do.
USUAL: Mapping[str, int] = {"mlflow": Port.MLFLOW, "prefect": Port.PREFECT, "models": Port.MODEL_SERVER, "runner": 0}
OPTIONS: Mapping[str, str] = {"mlflow": "--mlflow-port", "prefect": "--prefect-port", "models": "--model-port"}


def choose(
    requested: Mapping[str, int], *, kept: Mapping[str, int], running: Mapping[str, int], auto: bool
) -> dict[str, int]:
    """Choose every service's port: the requested one, else its last one, else a free one (`auto`) or the default.

    Args:
        requested: Ports from the command line.
        kept: Ports of recorded services, running or stopped, so that addresses survive a restart.
        running: Ports of this platform's running services.
        auto: Use any free port where none is requested or kept.
    Raises:
        UsageError: Two services have the same port.
        ServiceError: Another program uses a port.
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
                f"{name} and {twin} cannot both use port {port}: choose another one with "
                f"{OPTIONS.get(name, OPTIONS['models'])}."
            )
        if port not in running.values() and not is_free(port):
            raise ServiceError(
                f"port {port}, needed for {name}, is in use by {holder(port)}. Stop that program, choose another "
                "port with "
                f"`mlp up {OPTIONS[name]} PORT`, or use free ports with `mlp up --auto-ports`."
            )
    return ports


def is_free(port: int) -> bool:
    """Whether a service could listen on a loopback port now."""
    with socket.socket() as probe:
        # On macOS, binding to loopback succeeds next to a listener on all addresses, which would get the requests.
        probe.settimeout(0.5)
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignore connections that were just closed
        try:
            probe.bind((HOST, port))
        except OSError as err:
            if err.errno == errno.EACCES:
                raise ServiceError(f"no permission to use port {port}: choose one of 1024 or higher.") from err
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Return different free ports, chosen by the system."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def holder(port: int) -> str:
    """Name the program that listens on a port: `python (process 123, the local platform of /home/ada/churn)`."""
    process = _listener(port)
    if process is None:
        return "another program, which the system does not name"
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
    for process in psutil.process_iter():  # macOS shows users only their own processes' connections
        with suppress(psutil.Error, OSError):
            if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in process.net_connections("tcp")):
                return process
    return None
