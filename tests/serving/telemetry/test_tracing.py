"""Traces, as a real OTLP/HTTP collector receives them.

The caller's trace continues, and tracing costs nothing unless it is enabled.
"""

import gzip
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.testclient import TestClient

from platform_lib.errors import UsageError
from platform_lib.serving.http.app import create_app
from platform_lib.serving.telemetry.logs import log_to
from platform_lib.serving.telemetry.tracing import NoTracing, Tracing, open_tracing, wants_tracing
from platform_lib.settings import Project
from tests.conftest import REPOSITORY, free_port
from tests.serving.callers import ROWS, answers
from tests.serving.sample_models import REGRESSION, FixedSource, StubPipeline, fitted, loaded, rows
from tests.waiting import wait_until

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01"}


@dataclass
class Collector:
    """Record what is sent to `/v1/traces`."""

    url: str = ""
    spans: list[Any] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)

    def receive(self, body: bytes) -> None:
        for part in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(_values(part.resource.attributes))
            self.spans += [span for scope in part.scope_spans for span in scope.spans]

    def attributes(self) -> list[dict[str, Any]]:
        return [_values(span.attributes) for span in self.spans]


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@pytest.fixture
def collector() -> Iterator[Collector]:
    received = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            received.receive(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        received.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield received
        http.shutdown()
        thread.join()


@pytest.fixture
def traced(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`traced(model, requests)`: send requests to a traced application and wait until the collector has its spans."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)

    def run(model: Any, requests: Callable[[TestClient], Any]) -> Any:
        tracing = Tracing("people")
        result = requests(TestClient(tracing.wrap(create_app(FixedSource(model))), raise_server_exceptions=False))
        tracing.close()
        return result

    return run


def test_a_request_continues_the_callers_trace_and_names_model_and_version(
    collector: Collector, traced: Callable[..., Any]
) -> None:
    answer = traced(
        loaded(fitted(), version="7"), lambda http: http.post("/predict", json={"rows": rows(3)}, headers=TRACEPARENT)
    )
    (span,) = collector.spans
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.name) == (TRACE, CALLER, "POST /predict")
    assert collector.attributes() == [
        {
            "http.request.method": "POST",
            "http.response.status_code": 200,
            "http.route": "/predict",
            "mlp.model": "people",
            "mlp.protocol": "rows",
            "mlp.request_id": answer.headers["X-Request-ID"],
            "mlp.rows": 3,
            "mlp.version": "7",
            "url.path": "/predict",
            "url.scheme": "http",
        }
    ]
    assert collector.resources[0]["service.name"] == "people"


def test_each_protocol_is_named_and_paths_with_parameters_share_one_span_name(
    collector: Collector, traced: Callable[..., Any]
) -> None:
    def ask(http: TestClient) -> None:
        example = http.get("/model").json()["example"]
        http.post("/invocations", json={"dataframe_records": [example]})
        http.post("/v2/models/people/infer", json={"inputs": []})
        http.get("/nowhere")

    traced(loaded(fitted()), ask)
    assert [span.name for span in collector.spans] == [
        "GET /model",
        "POST /invocations",
        "POST /v2/models/{name}/infer",
        "GET",
    ]
    assert [about.get("mlp.protocol") for about in collector.attributes()] == [None, "mlflow", "v2", None]
    assert [about["http.response.status_code"] for about in collector.attributes()] == [200, 200, 400, 404]


def test_probes_are_not_traced(collector: Collector, traced: Callable[..., Any]) -> None:
    traced(
        loaded(fitted()), lambda http: [http.get(path) for path in ("/healthz", "/readyz", "/ping", "/v2/health/ready")]
    )
    assert collector.spans == []


def test_the_callers_decision_not_to_sample_is_respected(collector: Collector, traced: Callable[..., Any]) -> None:
    unsampled = {"traceparent": f"00-{TRACE}-{CALLER}-00"}
    assert (
        traced(
            loaded(fitted()), lambda http: http.post("/predict", json={"rows": rows(1)}, headers=unsampled)
        ).status_code
        == 200
    )
    assert collector.spans == []


def test_an_invalid_traceparent_starts_a_new_trace(collector: Collector, traced: Callable[..., Any]) -> None:
    traced(
        loaded(fitted()),
        lambda http: http.post("/predict", json={"rows": rows(1)}, headers={"traceparent": "00-zz-1-01"}),
    )
    (span,) = collector.spans
    assert span.parent_span_id == b""
    assert span.trace_id.hex() != TRACE


def test_a_failure_marks_the_span_and_its_log_record_names_the_trace(
    collector: Collector, traced: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_frame: Any) -> Any:
        raise RuntimeError("a column of lead")

    lines: list[str] = []
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log_to(lines.append, as_json=True)
    answer = traced(
        loaded(StubPipeline(broken), REGRESSION),
        lambda http: http.post("/predict", json={"rows": rows(1)}, headers=TRACEPARENT),
    )
    assert answer.status_code == 500
    (span,) = collector.spans
    assert span.status.code == span.status.STATUS_CODE_ERROR
    (record,) = [record for record in map(json.loads, lines) if record["level"] == "error"]
    assert "in broken" in record["traceback"]
    assert "may quote values of private columns" in record["traceback"]
    assert (record["trace_id"], record["span_id"]) == (TRACE, span.span_id.hex())
    assert record["request_id"] == answer.headers["X-Request-ID"]


def test_an_unreachable_collector_fails_no_request_and_delays_no_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    tracing = Tracing("people")
    http = TestClient(tracing.wrap(create_app(FixedSource(loaded(fitted())))))
    assert http.post("/predict", json={"rows": rows(1)}).status_code == 200
    tracing.close()
    assert "last-spans" not in [thread.name for thread in threading.enumerate() if not thread.daemon]


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
    ],
)
def test_the_standard_variables_decide(environment: dict[str, str], *, wanted: bool) -> None:
    assert wants_tracing(environment) is wanted


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin', expected otlp or none."),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc', expected http/protobuf, which collectors accept on port 4318. "
            "Set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT.",
        ),
    ],
)
def test_an_unsupported_setting_costs_the_traces_and_says_so(
    environment: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert isinstance(open_tracing("people"), NoTracing)
    assert caplog.messages == [f"the server runs without traces: {sentence}"]


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    with pytest.raises(UsageError, match=r"install platform-lib\[tracing\], or set OTEL_SDK_DISABLED=true"):
        wants_tracing({"OTEL_TRACES_EXPORTER": "otlp"})


IMPORTED = """
import sys
import platform_lib.serving.server, platform_lib.serving.worker
from platform_lib.serving.worker import WorkerOptions, build_app
build_app(WorkerOptions(reference="m/1", tracking_uri="sqlite:///none.db"))
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
"""


def test_without_tracing_the_server_loads_no_tracing_library() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a process can answer")
def test_the_documented_command_traces_and_sends_the_last_spans_on_shutdown(
    trained: Project, collector: Collector, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "log.txt"
    text = (REPOSITORY / "docs" / "serving.md").read_text(encoding="utf-8").split("## Traces\n")[1]
    setting, *words = re.search(r"```sh\n(.*)\n```", text).group(1).split()  # type: ignore[union-attr]
    assert (setting, words) == ("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318", ["mlp", "serve"])
    environment = {
        **os.environ,
        setting.split("=")[0]: collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
        "OTEL_SERVICE_NAME": "penguins",
    }
    command = [sys.executable, "-m", "platform_lib.cli", *words[1:], "1", "--port", str(port), "--workers", "2"]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=trained.root, stdout=output, stderr=subprocess.STDOUT, env=environment
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(f"{url}/readyz", process, log))
            for _ in range(4):
                assert (
                    httpx.post(f"{url}/predict", json={"rows": ROWS}, headers=TRACEPARENT, timeout=30).status_code
                    == 200
                )
            assert collector.spans == []
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            if process.poll() is None:
                process.kill()
    assert [(about["mlp.version"], about["mlp.rows"]) for about in collector.attributes()] == [("1", 3)] * 4
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert {resource["service.name"] for resource in collector.resources} == {"penguins"}
