"""The whole server as a process, with all its parts.

Two workers, keys, three protocols, metrics, the request log and MLflow's own client.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil
import pytest

from platform_lib.serving.auth.api_keys import new_key
from platform_lib.serving.request_log.files import LABELS, PREDICTIONS, LogFolder
from platform_lib.settings import Project
from tests.conftest import copy_of, free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

ROW = {
    "island": "Biscoe",
    "bill_length_mm": 48.2,
    "bill_depth_mm": 14.3,
    "flipper_length_mm": 210,
    "body_mass_g": 4600,
    "sex": None,
    "year": 2009,
}
DATATYPES = {"island": "BYTES", "sex": "BYTES", "flipper_length_mm": "INT64", "body_mass_g": "INT64", "year": "INT64"}


@dataclass
class Server:
    """A running server and the data that its callers need."""

    url: str
    metrics_url: str
    key: str
    labels_key: str
    log: Path
    name: str
    pid: int

    def post(self, path: str, body: Any, key: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"}
        return httpx.post(
            f"{self.url}{path}",
            content=body if isinstance(body, bytes) else json.dumps(body),
            headers=headers,
            timeout=60,
        )


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def server(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("production")
    project = copy_of(trained, folder / "project")
    keys = folder / "keys.yaml"
    key, labels_key = new_key(keys, "checkout", ["predict"]), new_key(keys, "truth", ["labels"])
    port, metrics_port = free_port(), free_port()
    command = [
        sys.executable,
        "-m",
        "platform_lib.cli",
        "serve",
        "--port",
        str(port),
        "--workers",
        "2",
        "--keys",
        str(keys),
    ]
    command += [
        "--metrics-port",
        str(metrics_port),
        "--log",
        str(folder / "log"),
        "--max-rows",
        "50",
        "--max-body-mib",
        "0.1",
    ]
    with (
        (folder / "out.txt").open("w") as out,
        subprocess.Popen(
            command,
            cwd=project.root,
            stdout=out,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: is_ready(url))
            metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
            yield Server(url, metrics_url, key, labels_key, folder / "log", project.name, process.pid)
        finally:
            process.terminate()
            process.wait(60)


def ask(server: Server, protocol: str, row: dict[str, Any]) -> httpx.Response:
    """Send one row with one protocol."""
    if protocol == "rows":
        return server.post("/predict", {"rows": [row]})
    if protocol == "mlflow":
        return server.post("/invocations", {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}})
    inputs = [
        {"name": name, "shape": [1], "datatype": DATATYPES.get(name, "FP64"), "data": [value]}
        for name, value in row.items()
    ]
    return server.post(f"/v2/models/{server.name}/infer", {"inputs": inputs})


def label_of(protocol: str, answer: dict[str, Any]) -> str:
    return str(answer["outputs"][0]["data"][0] if protocol == "v2" else answer["predictions"][0])


@pytest.mark.parametrize("protocol", ["rows", "mlflow", "v2"])
def test_each_protocol_returns_the_prediction(server: Server, protocol: str) -> None:
    answer = ask(server, protocol, ROW)
    assert answer.status_code == 200, answer.text
    assert label_of(protocol, answer.json()) == "Gentoo"


BAD: dict[str, tuple[dict[str, Any], int]] = {
    "text in a number": ({**ROW, "bill_length_mm": "48"}, 422),
    "missing column": ({name: value for name, value in ROW.items() if name != "year"}, 422),
    "unknown column": ({**ROW, "wings": 2}, 422),
    "null where never missing": ({**ROW, "year": None}, 422),
    "null where nullable": ({**ROW, "bill_length_mm": None}, 200),
    "unknown category": ({**ROW, "island": "Atlantis"}, 200),
    "fraction in an integer": ({**ROW, "year": 2009.5}, 422),
    "boolean in a number": ({**ROW, "bill_length_mm": True}, 422),
    "nested": ({**ROW, "island": {"a": 1}}, 422),
    "number in a text": ({**ROW, "island": 3}, 422),
    "huge": ({**ROW, "bill_length_mm": 1e30}, 200),
}


@pytest.mark.parametrize(("row", "status"), BAD.values(), ids=BAD)
def test_a_value_gets_the_same_result_in_every_protocol(server: Server, row: dict[str, Any], status: int) -> None:
    answers = {protocol: ask(server, protocol, row) for protocol in ("rows", "mlflow", "v2")}
    assert {protocol: answer.status_code for protocol, answer in answers.items()} == dict.fromkeys(answers, status)
    if status == 422:
        assert len({answer.json()["detail"] for answer in answers.values()}) == 1
    else:
        assert len({label_of(protocol, answer.json()) for protocol, answer in answers.items()}) == 1


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/v2/models/sample-model/infer"])
@pytest.mark.parametrize(
    ("body", "status"), [(b"{}", 400), (b"not json", 400), (b" " * 200_000, 413)], ids=["empty", "broken", "large"]
)
def test_an_invalid_body_gets_the_same_error_in_every_protocol(
    server: Server, path: str, body: bytes, status: int
) -> None:
    answer = server.post(path, body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_mlflows_own_client_works(trained: Project) -> None:
    """MLflow's scoring client sends no headers of its own, so it calls a server that is open to this machine."""
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    port = free_port()
    command = [sys.executable, "-m", "platform_lib.cli", "serve", "--port", str(port)]
    with subprocess.Popen(command, cwd=trained.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: is_ready(f"http://127.0.0.1:{port}"))
            client = ScoringServerClient("127.0.0.1", port)
            client.ping()
            assert client.invoke(pd.DataFrame([ROW, ROW])).get_predictions()[0].tolist() == ["Gentoo", "Gentoo"]
        finally:
            process.terminate()
            process.wait(60)


def test_requests_without_a_key_or_its_scope_are_refused(server: Server) -> None:
    body = {"rows": [ROW]}
    assert httpx.post(f"{server.url}/predict", json=body).status_code == 401
    assert server.post("/predict", body, server.labels_key).status_code == 403
    assert server.post("/labels", {"labels": [{"request_id": "x", "label": "y"}]}).status_code == 403
    assert httpx.get(f"{server.url}/model").status_code == 401
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json", "/ping", "/v2/health/live"):
        assert httpx.get(f"{server.url}{path}").status_code == 200
    assert httpx.get(f"{server.url}/metrics").status_code == 404


def test_the_description_shows_the_models_columns(server: Server) -> None:
    schema = httpx.get(f"{server.url}/openapi.json").json()["components"]["schemas"]["Row"]
    assert schema["required"] == list(ROW)
    assert schema["properties"]["sex"]["type"] == ["string", "null"]
    assert schema["properties"]["year"]["type"] == "integer"
    assert schema["additionalProperties"] is False


def metric(server: Server, line_start: str) -> float:
    lines = httpx.get(server.metrics_url).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(line_start))


def test_metrics_are_summed_over_the_workers(server: Server) -> None:
    requests = 'mlp_requests_total{code="200",model="sample-model",protocol="rows"'
    bins = 'mlp_feature_bin_total{bin="Biscoe",feature="island"'
    before = metric(server, requests), metric(server, bins)
    for _ in range(30):
        assert ask(server, "rows", ROW).status_code == 200
    assert (metric(server, requests) - before[0], metric(server, bins) - before[1]) == (30, 30)
    text = httpx.get(server.metrics_url).text
    assert 'mlp_model_info{alias="champion",model="sample-model",version="1"} 1.0' in text
    assert 'mlp_feature_bin_total{bin="Dream",feature="island",model="sample-model",version="1"} 0.0' in text
    assert "mlp_feature_reference_share" in text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_the_server_raises_its_limit_of_open_files(server: Server) -> None:
    soft, hard = psutil.Process(server.pid).rlimit(psutil.RLIMIT_NOFILE)
    assert soft == min(65_536, hard)


def test_requests_and_labels_are_in_the_log(server: Server) -> None:
    answer = server.post("/predict", {"rows": [ROW, {**ROW, "island": "Dream"}]}).json()
    told = server.post(
        "/labels", {"labels": [{"request_id": answer["request_id"], "row": 1, "label": "Gentoo"}]}, server.labels_key
    )
    assert told.json() == {"accepted": 1}
    folder = LogFolder.at(str(server.log))
    wait_until(
        lambda: (
            bool(folder.files(LABELS))
            and any(row["request_id"] == answer["request_id"] for row in folder.read(PREDICTIONS).to_pylist())
        )
    )
    rows = [row for row in folder.read(PREDICTIONS).to_pylist() if row["request_id"] == answer["request_id"]]
    assert [(row["row"], row["key_name"], row["version"], row["island"], row["prediction"]) for row in rows] == [
        (0, "checkout", "1", "Biscoe", answer["predictions"][0]),
        (1, "checkout", "1", "Dream", answer["predictions"][1]),
    ]
    assert dict(rows[0]["probabilities"]) == answer["probabilities"][0]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a process can answer")
def test_a_graceful_stop_writes_the_whole_log(trained: Project, tmp_path: Path) -> None:
    project = copy_of(trained, tmp_path / "project")
    port = free_port()
    command = [sys.executable, "-m", "platform_lib.cli", "serve", "--port", str(port), "--log", "log"]
    with subprocess.Popen(command, cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: is_ready(f"http://127.0.0.1:{port}"))
        for _ in range(20):
            assert httpx.post(f"http://127.0.0.1:{port}/predict", json={"rows": [ROW]}).status_code == 200
        process.terminate()
        process.wait(60)
    assert len(LogFolder.at(str(project.root / "log")).read(PREDICTIONS)) == 20
