"""A local registry with real versions, and `mlp serve` on it: shared by the lifecycle benchmarks."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.frame import feature_frame
from platform_lib.model.artifact import Predictions, predict
from platform_lib.model.profile import build_profile
from platform_lib.names import VersionTag
from platform_lib.registry.model_files import ModelContent
from platform_lib.registry.reference import VersionRecord
from platform_lib.registry.versions import Registry
from platform_lib.training.features import standard_features

NAME = "benchmark"
CONTRACT = DataContract(
    name=NAME,
    path="data/benchmark.csv",
    task="classification",
    target="label",
    columns={
        **{f"number_{place}": Column(type="number", nullable=place == 0) for place in range(4)},
        "count": Column(type="integer", nullable=True),
        "is_new": Column(type="boolean"),
        "town": Column(type="string", nullable=True, allowed=["Bern", "Genf", "Zug"]),
        "joined": Column(type="datetime"),
        "label": Column(type="string", allowed=["maybe", "no", "yes"]),
    },
)


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Make random rows, as callers send them."""
    random = np.random.default_rng(seed)
    return [
        {
            **{
                f"number_{place}": None if place == 0 and random.random() < 0.1 else float(random.normal())
                for place in range(4)
            },
            "count": None if random.random() < 0.1 else int(random.integers(0, 100)),
            "is_new": bool(random.integers(2)),
            "town": None if random.random() < 0.1 else str(random.choice(["Bern", "Genf", "Zug"])),
            "joined": f"20{random.integers(10, 26)}-0{random.integers(1, 10)}-15T08:30:00",
        }
        for _ in range(count)
    ]


@dataclass(frozen=True, slots=True)
class Registered:
    """A store and its versions; the first one is the champion."""

    uri: str
    registry: Registry
    versions: list[VersionRecord]
    pipelines: dict[str, Pipeline]
    """By version."""

    def answer(self, version: str, some: list[dict[str, Any]]) -> Predictions:
        """Predict offline with a version."""
        return predict(self.pipelines[version], _frame(some))


def register_versions(folder: Path, count: int) -> Registered:
    """Fit and register `count` versions whose predictions differ."""
    uri = f"sqlite:///{(folder / '.mlp' / 'mlflow.db').as_posix()}"
    registry = Registry(uri)
    gate = json.dumps({"passed": True, "reasons": []})
    versions, pipelines = [], {}
    for seed in range(count):
        frame = _frame(rows(300, seed))
        signal = frame["number_1"].to_numpy() + np.random.default_rng(seed).normal(scale=0.3, size=len(frame))
        truth = np.array(["no", "maybe", "yes"], dtype=object)[np.digitize(signal, [-0.4, 0.4])]
        pipeline = Pipeline(
            [("features", standard_features(CONTRACT)), ("model", LogisticRegression(C=0.05 * 2**seed, max_iter=500))]
        )
        pipeline.fit(frame, truth)
        answers = predict(pipeline, frame)
        content = ModelContent(
            pipeline=pipeline,
            contract=CONTRACT,
            example=frame,
            predictions=answers,
            profile=build_profile(frame, answers, CONTRACT),
            config_yaml="seed: 0\n",
            package=None,
        )
        run_id = str(registry.client.create_run("0").info.run_id)
        version = registry.register(NAME, content, run_id=run_id, tags={VersionTag.GATE: gate}, passed=True)
        versions.append(version)
        pipelines[version.version] = pipeline
    registry.promote(versions[0])
    return Registered(uri, registry, versions, pipelines)


def _frame(some: list[dict[str, Any]]) -> Any:
    return feature_frame({name: [row[name] for row in some] for name in CONTRACT.features}, CONTRACT)


@contextmanager
def serving(registered: Registered, folder: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run `mlp serve` on the champion until the block ends; yield its address and its process once it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "platform_lib.cli", "serve", f"{NAME}@champion", "--port", str(port), *arguments]
    environment = os.environ | {"MLFLOW_TRACKING_URI": registered.uri}
    output = folder / "server.txt"
    with (
        output.open("wb") as file,
        subprocess.Popen(command, cwd=folder, stdout=file, stderr=subprocess.STDOUT, env=environment) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: process.poll() is not None or _is_ready(url), "the server")
            if process.poll() is not None:
                raise SystemExit(f"the server ended:\n{output.read_text(encoding='utf-8')}")
            yield url, process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(60)


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 180.0) -> None:
    """Wait until a condition holds.

    Raises:
        SystemExit: It did not hold within the timeout.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} was not ready within {timeout_s:g} s")
        time.sleep(0.02)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
