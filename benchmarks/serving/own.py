"""Measure our server with everything on: API key, validation, metrics, request log, request ids.

    python -m benchmarks.serving.own                # requests/s, p50, p99, CPU per request, memory, start
    python -m benchmarks.serving.own --only iris --seconds 3

If the machine has two cores, the server runs on one and the load generator on the other. The server is `mlp serve` as
users start it, with a registry that speaks MLflow's REST API. The first figure is a constant response on the same
HTTP server: the rest is our own cost.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.serving.load import LoadResult, closed_loop
from benchmarks.serving.models import BenchmarkModel, iris, mixed, write_version
from platform_lib.names import VersionTag
from platform_lib.serving.auth.api_keys import new_key

SERVER_CORE, LOAD_CORE = 0, 1
MODELS: dict[str, Callable[[], BenchmarkModel]] = {"iris": iris, "mixed": mixed}


_ADDRESSES = {"metrics": r"Metrics on (http://\S+)\.$", "url": r"on (http://\S+), described"}


@dataclass(frozen=True, slots=True)
class Running:
    """A server under measurement."""

    url: str
    headers: dict[str, str]
    metrics_url: str
    process: psutil.Process
    start_s: float
    """From the command to the first prediction."""


@contextmanager
def registry(name: str, folder: Path, sha256: str) -> Iterator[str]:
    """Run a registry with one champion, whose files are in `folder`; yield its address."""
    version = {
        "name": name,
        "version": "1",
        "source": folder.absolute().as_uri(),
        "tags": [
            {"key": VersionTag.MODEL_SHA256, "value": sha256},
            {"key": VersionTag.GATE, "value": '{"passed": true}'},
        ],
    }

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"model_version": version}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def serving(
    model: BenchmarkModel, folder: Path, *arguments: str, core: int | None, python: Path | None = None
) -> Iterator[Running]:
    """Run `mlp serve` with everything on until the block ends, with `python` of another environment if given."""
    sha256 = write_version(model, folder / "version")
    keys = folder / "keys.yaml"
    key = new_key(keys, "load", ["predict"])
    command = [
        str(python or sys.executable),
        "-m",
        "platform_lib.cli",
        "serve",
        f"{model.name}@champion",
        "--port",
        "0",
        "--keys",
        str(keys),
    ]
    command += ["--metrics-port", "0", "--log", str(folder / "log"), *arguments]
    with registry(model.name, folder / "version", sha256) as uri:
        environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "PYTHONUNBUFFERED": "1"}
        begun = time.perf_counter()
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
        ) as process:
            try:
                if core is not None:
                    psutil.Process(process.pid).cpu_affinity([core])
                assert process.stdout is not None
                said: dict[str, str] = {}
                for line in process.stdout:
                    said |= {
                        name: match[1] for name, pattern in _ADDRESSES.items() if (match := re.search(pattern, line))
                    }
                    if "url" in said:
                        break
                assert set(said) == set(_ADDRESSES), "the server ended before it listened"
                threading.Thread(target=process.stdout.read, daemon=True).start()
                headers = {"Authorization": f"Bearer {key}"}
                _first_answer(said["url"] + "/predict", model, headers)
                yield Running(
                    said["url"] + "/predict",
                    headers,
                    said["metrics"],
                    psutil.Process(process.pid),
                    time.perf_counter() - begun,
                )
            finally:
                process.terminate()
                process.wait(60)


@contextmanager
def constant(core: int | None) -> Iterator[Running]:
    """Run the same HTTP server with a constant response."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "benchmarks.serving.constant:app",
        "--port",
        str(port),
        "--no-access-log",
        "--log-level",
        "error",
    ]
    with subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2]) as process:
        try:
            if core is not None:
                psutil.Process(process.pid).cpu_affinity([core])
            begun = time.perf_counter()
            while True:
                try:
                    httpx.post(f"http://127.0.0.1:{port}/")
                    break
                except httpx.HTTPError:
                    time.sleep(0.05)
            yield Running(f"http://127.0.0.1:{port}/", {}, "", psutil.Process(process.pid), time.perf_counter() - begun)
        finally:
            process.terminate()
            process.wait(30)


def _first_answer(url: str, model: BenchmarkModel, headers: dict[str, str]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            answer = httpx.post(url, json={"rows": model.rows[:20]}, headers=headers)
            if answer.status_code == 200:
                expected = model.pipeline.predict(_features(model)).tolist()
                assert answer.json()["predictions"] == expected, "the predictions are not the model's"
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.01)
    raise AssertionError("no prediction within 120 seconds")


def _features(model: BenchmarkModel) -> Any:
    from platform_lib.data.frame import feature_frame

    return feature_frame(
        {name: [row[name] for row in model.rows[:20]] for name in model.contract.features}, model.contract
    )


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds of a process so far, without its children's."""
    times = process.cpu_times()
    return float(times.user + times.system)


def memory_mib(process: psutil.Process) -> tuple[float, float]:
    """Resident and proportional memory of a process in MiB, without its log writer's."""
    full = process.memory_full_info()
    return full.rss / 2**20, full.pss / 2**20


def dropped_rows(running: Running) -> float:
    """Rows that the request log has dropped so far."""
    lines = httpx.get(running.metrics_url).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("mlp_log_dropped_total"))


def measure(
    running: Running, model: BenchmarkModel, *, rows: int, connections: int, seconds: float, core: int | None
) -> tuple[LoadResult, float]:
    """Run a load; return its result and the server's CPU microseconds per answered request."""
    body = json.dumps({"rows": (model.rows * (1 + rows // len(model.rows)))[:rows]}).encode()
    closed_loop(running.url, body, running.headers, connections=connections, seconds=1, core=core)
    before = cpu_s(running.process)
    result = closed_loop(running.url, body, running.headers, connections=connections, seconds=seconds, core=core)
    used = cpu_s(running.process) - before
    return result, used / max(1, result.statuses.get("200", 0)) * 1e6


def main() -> None:
    """Measure both models with every load and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(MODELS), help="only this model")
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of each load")
    parser.add_argument("--loads", default="1x1,1x64,100x4,1000x4", help="rows x connections, comma-separated")
    given = parser.parse_args()
    two = (os.cpu_count() or 1) > 1 and hasattr(os, "sched_setaffinity")
    server_core, load_core = (SERVER_CORE, LOAD_CORE) if two else (None, None)
    with constant(server_core) as running:
        for connections in (1, 64):
            result, cpu_us = measure(
                running, iris(), rows=1, connections=connections, seconds=given.seconds, core=load_core
            )
            print(
                f"constant response at {connections} connections: {result.per_second:,.0f} requests/s, {cpu_us:.0f} us "
                "of CPU each"
            )
    print(
        f"{'model':6} {'rows':>5} {'conn':>5} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'CPU us':>8}  responses, "
        "rows dropped by the log"
    )
    for name in [given.only] if given.only else MODELS:
        model = MODELS[name]()
        with tempfile.TemporaryDirectory() as folder, serving(model, Path(folder), core=server_core) as running:
            started_with = memory_mib(running.process)
            for load in given.loads.split(","):
                rows, connections = map(int, load.split("x"))
                dropped = dropped_rows(running)
                result, cpu_us = measure(
                    running, model, rows=rows, connections=connections, seconds=given.seconds, core=load_core
                )
                speed = f"{result.per_second:11,.0f} {result.p50_ms:8.2f} {result.p99_ms:8.2f} {cpu_us:8.0f}"
                print(
                    f"{name:6} {rows:5} {connections:5} {speed}  {result.statuses} "
                    f"{dropped_rows(running) - dropped:8.0f}",
                    flush=True,
                )
            rss, pss = memory_mib(running.process)
            print(
                f"{name:6} start {running.start_s:.2f} s, memory {started_with[1]:.0f} MiB PSS, after the loads "
                f"{pss:.0f} (RSS {rss:.0f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
