"""Send a server three times the load that it can handle.

    python -m benchmarks.serving.overload

The model takes 20 ms per row and four rows run concurrently, so the capacity is 200 rows per second. A closed loop
measures the capacity, then an open loop sends three times as many requests at a fixed rate. The output: responses per
second, their share of the capacity, how fast the other requests were refused, and memory.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks.serving.load import closed_loop, open_loop
from platform_lib.data.contract import Column, DataContract
from platform_lib.model.artifact import LoadedModel, Predictions

ROW_S = 0.02
TIMES = 3
CONTRACT = DataContract(
    name="slow",
    path="slow.csv",
    task="regression",
    target="y",
    columns={"x": Column(type="number"), "y": Column(type="number")},
)


class SlowModel(LoadedModel):
    """Predicts x, slowly."""

    def predict(self, table: Mapping[str, Sequence[Any]]) -> Predictions:
        """Sleep for each row."""
        values = np.asarray(table["x"], dtype=np.float64)
        time.sleep(ROW_S * len(values))
        return Predictions(values, None)


def create_slow_app() -> Any:
    """Create the real application around the slow model, for uvicorn."""
    from platform_lib.serving.http.app import create_app
    from platform_lib.serving.models.served_model import LoaderState, ServedModel
    from platform_lib.serving.models.service_time import ServiceTime

    model = SlowModel(name="slow", version="1", pipeline=None, contract=CONTRACT, sha256="")
    example = {"x": 1.0}
    sample = Predictions(np.ones(1), None)
    served = ServedModel(
        model=model,
        tags={},
        example=example,
        example_prediction=sample,
        profile=None,
        since=datetime.now(UTC),
        service_time=ServiceTime(0.0, ROW_S),
    )

    class Fixed:
        state = LoaderState(reference="slow@champion", alias="champion", current=served)
        current = served

    return create_app(Fixed())


@contextmanager
def slow_server() -> Iterator[tuple[str, psutil.Process]]:
    """Run the slow application as a process; yield its address and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--factory",
        "benchmarks.serving.overload:create_slow_app",
        "--port",
        str(port),
    ]
    with subprocess.Popen(
        [*command, "--no-access-log", "--log-level", "error"], cwd=Path(__file__).resolve().parents[2]
    ) as process:
        try:
            while True:
                try:
                    httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
                    break
                except httpx.HTTPError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/predict", psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


def main() -> None:
    """Measure the capacity, overload the server and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="duration of each load")
    given = parser.parse_args()
    core = 1 if (os.cpu_count() or 1) > 1 and hasattr(os, "sched_setaffinity") else None
    body = json.dumps({"rows": [{"x": 1.5}]}).encode()
    with slow_server() as (url, process):
        capacity = closed_loop(url, body, {}, connections=16, seconds=given.seconds, core=core).per_second
        before = process.memory_info().rss / 2**20
        result = open_loop(url, body, {}, rate=TIMES * capacity, seconds=given.seconds, core=core)
        after = process.memory_info().rss / 2**20
        # Requests still queued when the last one was sent are answered later and are not part of the goodput.
        answered = result.statuses.get("200", 0) / (result.seconds + result.max_ms / 1000)
        print(
            f"capacity {capacity:.0f} responses/s; sent {TIMES * capacity:.0f}/s for {result.seconds:.1f} s: "
            f"{result.statuses}"
        )
        print(
            f"goodput {answered:.0f} responses/s, {answered / capacity:.0%} of the capacity; p50 {result.p50_ms:.0f} "
            f"ms, p99 {result.p99_ms:.0f} ms"
        )
        print(f"refusals: p99 {result.refused_p99_ms:.1f} ms; memory {before:.0f} -> {after:.0f} MiB RSS")


if __name__ == "__main__":
    main()
