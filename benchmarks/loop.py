"""Measure the time from `copier copy` to the first served prediction, without the installation.

Once without servers, and once with the local platform started on the way.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from scripts.demo import MLP, Shell, is_ready, predict, wait_until  # noqa: E402

PENGUIN = {
    "island": "Biscoe",
    "bill_length_mm": 48.2,
    "bill_depth_mm": 14.3,
    "flipper_length_mm": 210,
    "body_mass_g": 4600,
    "sex": None,
    "year": 2009,
}


def free_port() -> int:
    """Return a port on which nothing listens now."""
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def without_servers(shell: Shell) -> None:
    """Train on the sample table, serve and predict, without any other server."""
    shell.mlp("train")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with shell.background(MLP, "serve", "--port", str(port)):
        wait_until(lambda: is_ready(url), "the model server")
        predict(url, [PENGUIN])


def with_platform(shell: Shell) -> None:
    """Start the local platform, train, and predict with its model server."""
    try:
        shell.mlp("up", "--auto-ports")
        shell.mlp("train")
        state = json.loads((shell.project / ".mlp" / "platform.json").read_text(encoding="utf-8"))
        url = state["services"]["models"]["url"]
        wait_until(lambda: is_ready(url), "the model server")
        predict(url, [PENGUIN])
    finally:
        start = time.monotonic()
        shell.mlp("down")
        shell.down_s = time.monotonic() - start  # type: ignore[attr-defined]


def measure(name: str, loop: Callable[[Shell], None], folder: Path) -> str:
    """Run one loop in a new project; return its line of the result."""
    shell = Shell(folder / name)
    start = time.monotonic()
    shell(
        "copier",
        "copy",
        "--defaults",
        "--quiet",
        "--vcs-ref",
        "HEAD",
        "--data",
        "project_name=demo-model",
        str(REPOSITORY),
        str(shell.project),
        folder=folder,
    )
    copy_s = time.monotonic() - start
    start = time.monotonic()
    shell("make", "setup")
    setup_s = time.monotonic() - start
    start = time.monotonic()
    loop(shell)
    loop_s = time.monotonic() - start - getattr(shell, "down_s", 0.0)
    return (
        f"{name:20} {copy_s + loop_s:6.1f} s to the first served prediction; the installation took {setup_s:.1f} s more"
    )


def main() -> None:
    """Run both loops and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    runs = parser.parse_args().runs
    folder = Path(tempfile.mkdtemp(prefix="mlp-loop-"))
    try:
        lines = []
        for number in range(runs):
            (folder / str(number)).mkdir()
            lines.append(measure("without servers", without_servers, folder / str(number)))
            lines.append(measure("with the platform", with_platform, folder / str(number)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(
        "\n" + subprocess.run(["uname", "-srm"], capture_output=True, text=True).stdout.strip(), sys.version.split()[0]
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
