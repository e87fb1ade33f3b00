"""Small real services that start in 0.1 s, and one real platform that the slow tests share."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from platform_lib.local_platform import processes
from platform_lib.local_platform.service import Service
from platform_lib.local_platform.state import PlatformState
from tests.conftest import free_port

# Responds on its port; `dies`, `mute` and `parent` are the ways in which a service can misbehave.
PROGRAM = """
import http.server, os, subprocess, sys, time
behaviour, port = sys.argv[1], int(sys.argv[2])
print("hello from", behaviour, os.environ.get("COLOUR", ""), flush=True)
if behaviour == "dies":
    print("the reason why", flush=True)
    sys.exit(7)
if behaviour == "parent":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if behaviour == "mute" else 200)
        self.end_headers()
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

MakeService = Callable[..., Service]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[PlatformState]:
    """The platform state of an empty project; services that a test leaves running are stopped."""
    (tmp_path / "project").mkdir()
    made = PlatformState(tmp_path / "project")
    yield made
    processes.stop(processes.marked(made.root), grace_s=2)


@pytest.fixture
def make_service() -> MakeService:
    """`make_service("a", "parent")`: a service with that name and behaviour on a free port."""

    def make(name: str, behaviour: str = "fine", **values: object) -> Service:
        port = int(str(values.pop("port", 0))) or free_port()
        command = (sys.executable, "-c", PROGRAM, behaviour, str(port))
        return Service(name=name, command=command, port=port, health_path="/", **values)  # type: ignore[arg-type]

    return make


def is_running(pid: int) -> bool:
    """Whether a process with that ID exists and is not a zombie."""
    return psutil.pid_exists(pid) and processes.is_alive(psutil.Process(pid))
