"""A model that fails on certain rows, with its registry and server as real processes to break."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.frame import feature_frame
from platform_lib.model.artifact import predict
from platform_lib.names import VersionTag
from platform_lib.registry.model_files import ModelContent
from platform_lib.registry.reference import VersionRecord
from platform_lib.registry.store import ensure_database
from platform_lib.registry.versions import Registry
from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder
from platform_lib.settings import find_project
from platform_lib.user_code import make_importable
from tests.conftest import free_port
from tests.waiting import wait_until

NAME = "faulty-model"
CONTRACT = DataContract(
    name="faulty",
    path="data/faulty.csv",
    task="classification",
    target="label",
    columns={"x": Column(type="number"), "y": Column(type="number"), "label": Column(type="string")},
)
RAISES, ANSWERS_NAN, TAKES_A_MINUTE = 1001.0, 1002.0, 1003.0
"""Values of `x` on which the model raises, predicts NaN, or takes a minute."""
SOURCE = '''"""A classifier that fails on certain rows."""

import time

import numpy as np
from sklearn.linear_model import LogisticRegression


class FaultyClassifier(LogisticRegression):
    def predict_proba(self, X):
        time.sleep(0.005)  # too long for the event loop
        x = np.asarray(X)[:, 0]
        if (x == 1001.0).any():
            raise RuntimeError("secret-inside")
        if (x == 1003.0).any():
            time.sleep(60)
        shares = super().predict_proba(X)
        shares[x == 1002.0] = np.nan
        return shares
'''


@dataclass
class MlflowServer:
    """A registry that can be killed and started again on the same files."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    def start(self) -> None:
        """Start it and wait until it responds."""
        ensure_database(self.folder / "mlflow.db")
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--workers",
            "1",
        ]
        command += [
            "--backend-store-uri",
            f"sqlite:///{(self.folder / 'mlflow.db').as_posix()}",
            "--artifacts-destination",
            str(self.artifacts),
        ]
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.folder / "mlflow.txt").open("ab") as output:
            # A process group of its own, so that `kill` reaches the server's children.
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )
        wait_until(lambda: _status(f"{self.url}/health") == 200)

    def kill(self) -> None:
        """Kill it and its children, as a power failure would."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@dataclass
class FaultyProject:
    """A registry with versions of the model; version 1 is the champion."""

    root: Path
    mlflow: MlflowServer
    registry: Registry
    versions: dict[str, VersionRecord]

    def files(self, version: str) -> Path:
        """The folder of a version's files in the artifact store."""
        source = str(
            self.registry.client.get_logged_model(
                self.versions[version].source.removeprefix("models:/")
            ).artifact_location
        )
        return self.mlflow.artifacts / source.removeprefix("mlflow-artifacts:/")


@contextmanager
def faulty_project(folder: Path, count: int) -> Iterator[FaultyProject]:
    """Create a project, start a registry and register `count` versions."""
    root = folder / "project"
    package = root / "src" / "faulty_model"
    package.mkdir(parents=True)
    (root / "pyproject.toml").write_text(
        f'[project]\nname = "faulty-model"\nversion = "1"\n\n[tool.mlp]\nmodel = "{NAME}"\n', encoding="utf-8"
    )
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "model.py").write_text(SOURCE, encoding="utf-8")
    make_importable(find_project(root))
    mlflow = MlflowServer(folder)
    mlflow.start()
    try:
        registry = Registry(mlflow.url)
        experiment = registry.client.create_experiment("faulty")
        versions = {}
        for seed in range(count):
            run_id = str(registry.client.create_run(experiment).info.run_id)
            tags = {VersionTag.GATE: json.dumps({"passed": True})}
            record = registry.register(NAME, _content(seed), run_id=run_id, tags=tags, passed=True)
            versions[record.version] = record
        registry.promote(versions["1"])
        yield FaultyProject(root, mlflow, registry, versions)
    finally:
        mlflow.kill()


def _content(seed: int) -> ModelContent:
    from faulty_model.model import FaultyClassifier  # type: ignore[import-not-found]
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    random = np.random.default_rng(seed)
    frame = feature_frame({"x": random.normal(size=50).tolist(), "y": random.normal(size=50).tolist()}, CONTRACT)
    truth = np.where(frame["x"] + random.normal(scale=0.2, size=50) > 0, "good", "bad").astype(object)
    # No scaling: the model looks for certain values of x.
    pipeline = Pipeline(
        [("scale", StandardScaler(with_mean=False, with_std=False)), ("model", FaultyClassifier(C=0.1 * 2**seed))]
    ).fit(frame, truth)
    answers = predict(pipeline, frame)
    return ModelContent(
        pipeline=pipeline,
        contract=CONTRACT,
        example=frame,
        predictions=answers,
        profile={"rows": 0, "features": {}, "prediction": {"kind": "category", "shares": [0.0, 0.0]}},
        config_yaml="seed: 0\n",
        package="faulty_model",
    )


@dataclass
class RunningServer:
    """`mlp serve` as a process."""

    url: str
    metrics_url: str
    process: "subprocess.Popen[bytes]"
    output: Path
    key: str = ""

    def post(self, *rows: dict[str, float], key: str | None = None, timeout_s: float = 60) -> httpx.Response:
        given = key or self.key
        headers = {"Authorization": f"Bearer {given}"} if given else {}
        return httpx.post(
            f"{self.url}/predict", json={"rows": rows or [{"x": 1.0, "y": 0.0}]}, headers=headers, timeout=timeout_s
        )

    def model(self) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(
            f"{self.url}/model", headers={"Authorization": f"Bearer {self.key}"}, timeout=60
        ).json()
        return answer

    def metric(self, name: str, *labels: str) -> float:
        lines = httpx.get(self.metrics_url, timeout=60).text.splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.startswith(name) and all(label in line for label in labels)
        )

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")


@contextmanager
def serving(
    made: FaultyProject, output: Path, *arguments: str, environment: dict[str, str] | None = None, key: str = ""
) -> Iterator[RunningServer]:
    """Serve the champion: ready when the block starts, terminated at its end."""
    port, metrics_port = free_port(), free_port()
    command = [
        sys.executable,
        "-m",
        "platform_lib.cli",
        "serve",
        "--port",
        str(port),
        "--metrics-port",
        str(metrics_port),
        "--poll",
        "0.1",
    ]
    variables = os.environ | {"MLFLOW_TRACKING_URI": made.mlflow.url, "PYTHONUNBUFFERED": "1"} | (environment or {})
    with (
        output.open("wb") as file,
        subprocess.Popen(
            [*command, *arguments], cwd=made.root, stdout=file, stderr=subprocess.STDOUT, env=variables
        ) as process,
    ):
        server = RunningServer(
            f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}/metrics", process, output, key
        )
        try:
            wait_until(lambda: process.poll() is not None or _status(f"{server.url}/readyz") == 200)
            assert process.poll() is None, server.said()
            yield server
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.HTTPError:
        return 0


def is_logged(folder: Path, request_id: str) -> bool:
    """Whether a request log holds a request."""
    log = LogFolder.at(str(folder))
    return (
        bool(log.files(PREDICTIONS))
        and request_id in log.read(PREDICTIONS, columns=["request_id", "time"])["request_id"].to_pylist()
    )


@contextmanager
def open_files(count: int) -> Iterator[None]:
    """Raise this process's limit of open files to `count`, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(count, hard)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
