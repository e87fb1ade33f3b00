"""Whatever a caller sends, the server's memory stays bounded and the response is one sentence with a 4xx status.

A real `mlp serve`. `tests/serving` tests the ordinary responses.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.people_server import PeopleServer, people_server
from tests.serving.sample_models import rows
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="limits of POSIX processes")]

MIB = 2**20
INFER = "/v2/models/people/infer"
ORIGIN = "https://app.example.com"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PeopleServer]:
    folder = tmp_path_factory.mktemp("requests")
    arguments = ["--log", str(folder / "log"), "--body-memory-mib", "20", "--cors-origin", ORIGIN]
    with people_server(folder / "server", *arguments) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: PeopleServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60, headers=JSON) as client:
        yield client


def filled(head: str, item: str, tail: str, mib: float = 8) -> bytes:
    """A body with as many items as fit."""
    count = int(mib * MIB / (len(item) + 1))
    return f"{head}{','.join([item] * count)}{tail}".encode()


def binary(datatype: str, width: int, shape: list[int] | None = None) -> tuple[bytes, dict[str, str]]:
    raw = b"\0" * (8 * MIB)
    tensor = {
        "name": "age",
        "datatype": datatype,
        "shape": shape or [len(raw) // width],
        "parameters": {"binary_data_size": len(raw)},
    }
    head = json.dumps({"inputs": [tensor]}).encode()
    return head + raw, {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}


ROW = json.dumps(rows(1)[0])
VALUES = json.dumps(list(rows(1)[0].values()))
HUGE: dict[str, tuple[str, tuple[bytes, dict[str, str]]]] = {
    "empty rows": ("/predict", (filled('{"rows": [', "{}", "]}"), JSON)),
    "valid rows": ("/predict", (filled('{"rows": [', ROW, "]}"), JSON)),
    "rows of lists": ("/predict", (filled('{"rows": [{"town": [', "[]", "]}]}"), JSON)),
    "unknown columns": ("/predict", (filled('{"rows": [{', '"x":0', "}]}"), JSON)),
    "rows after quotes": ("/predict", (filled('{"rows": [{"town": "\\\\\\"[{"},', "{}", "]}"), JSON)),
    "not closed": ("/predict", (filled('{"rows": [', "{}", ""), JSON)),
    "with NaN": ("/predict", (filled('{"rows": [{"age": NaN},', "{}", "]}"), JSON)),
    "split": ("/invocations", (filled('{"dataframe_split": {"columns": ["age"], "data": [', "[0]", "]}}"), JSON)),
    "split's index": (
        "/invocations",
        (filled('{"dataframe_split": {"columns": ["age"], "data": [[0]], "index": [', "[]", "]}}"), JSON),
    ),
    "records": ("/invocations", (filled('{"dataframe_records": [', "{}", "]}"), JSON)),
    "instances": ("/invocations", (filled('{"instances": [', VALUES, "]}"), JSON)),
    "numbers as instances": ("/invocations", (filled('{"instances": [', "0", "]}"), JSON)),
    "inputs": ("/invocations", (filled('{"inputs": {"age": [', "0", "]}}"), JSON)),
    "parameters": ("/invocations", (filled('{"instances": [], "params": {"a": [', "{}", "]}}"), JSON)),
    "CSV": ("/invocations", (b"age,income\n" + b"1,2\n" * (2 * MIB), {"Content-Type": "text/csv"})),
    "CSV of one line": ("/invocations", (b"," * (8 * MIB), {"Content-Type": "text/csv"})),
    "tensor": (
        INFER,
        (filled('{"inputs": [{"name": "age", "shape": [1], "datatype": "FP64", "data": [', "0", "]}]}"), JSON),
    ),
    "tensors": (INFER, (filled('{"inputs": [', '{"name":"","shape":[1],"datatype":"FP64"}', "]}"), JSON)),
    "binary tensor": (INFER, binary("UINT8", 1)),
    "binary texts": (INFER, binary("BYTES", 4)),
    "binary tensor that lies": (INFER, binary("UINT8", 1, [1])),
    "labels": ("/labels", (filled('{"labels": [', '{"request_id":"a","label":0}', "]}"), JSON)),
}


def memory(server: PeopleServer) -> int:
    return int(psutil.Process(server.process.pid).memory_info().rss)


def test_a_refused_batch_costs_no_memory_in_any_form(server: PeopleServer, client: httpx.Client) -> None:
    for path, (body, headers) in HUGE.values():  # buffers grow to their size, and CSV imports its libraries
        client.post(path, content=body, headers=headers)
    before = memory(server)
    for form, (path, (body, headers)) in HUGE.items():
        answer = client.post(path, content=body, headers=headers)
        assert answer.status_code in (400, 422), (form, answer.text)
        assert len(answer.text) < 2_000, form
        assert client.post("/predict", json={"rows": rows(1)}).status_code == 200
    assert memory(server) - before < 16 * MIB


def test_repeated_refusals_return_their_memory(server: PeopleServer, client: httpx.Client) -> None:
    path, (body, headers) = HUGE["valid rows"]
    client.post(path, content=body, headers=headers)
    before = memory(server)
    for _ in range(8):
        assert (
            "the maximum per request is 10000 rows" in client.post(path, content=body, headers=headers).json()["detail"]
        )
    assert memory(server) - before < 2 * len(body)


def connect(server: PeopleServer) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=60)


def held(server: PeopleServer, mib: int) -> socket.socket:
    """A request whose body lacks its end."""
    connection = connect(server)
    size = mib * MIB
    connection.sendall(
        f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode()
    )
    connection.sendall(b" " * (size - 1))
    return connection


def test_bodies_that_wait_are_bounded_together_and_small_ones_pass(server: PeopleServer, client: httpx.Client) -> None:
    large = json.dumps({"rows": rows(1)}).encode().ljust(6 * MIB)

    def is_refused() -> bool:
        # The server holds an unfinished body for 20 s, and refuses it if others take its place while it is read.
        with suppress(OSError), closing(held(server, 15)):
            refused = [response for _ in range(10) if (response := client.post("/predict", content=large)).is_error]
            if not refused:
                return False
            assert (refused[0].status_code, refused[0].headers["Retry-After"]) == (503, "1")
            assert "of other requests' bodies" in refused[0].json()["detail"]
            return client.post("/predict", json={"rows": rows(1)}).status_code == 200
        return False

    wait_until(is_refused, "a body that finds no memory beside a small one that does")
    wait_until(lambda: client.post("/predict", content=large).status_code == 200, "memory for the body")


texts = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40),
    st.integers(0, 6_000).map(lambda count: "0" * count + "1"),
    st.integers(0, 6_000).map(lambda count: "9" * count),
    st.sampled_from(["", "NaN", "-1", "+1", "1e400", "²", "1_0", "text/csv; charset=\xff", "application/json;"]),
)
HEADERS = (
    "Authorization",
    "Content-Encoding",
    "Content-Type",
    "Inference-Header-Content-Length",
    "Origin",
    "Traceparent",
    "X-API-Key",
    "X-Request-ID",
    "X-Sticky-Id",
)
few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(
    st.dictionaries(st.sampled_from(HEADERS), texts, max_size=3), st.sampled_from(["/predict", "/invocations", INFER])
)
def test_no_header_fails_the_server(client: httpx.Client, headers: dict[str, str], path: str) -> None:
    given_headers = [(name.encode(), value.strip().encode("latin-1")) for name, value in headers.items()]
    answer = client.post(path, content=b'{"inputs": []}', headers=given_headers)
    assert 400 <= answer.status_code < 500, answer.text


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Content-Length", "0" * 5_000 + "2"),
        ("Inference-Header-Content-Length", "9" * 5_000),
        ("Inference-Header-Content-Length", "0" * 5_000),
    ],
    ids=["length with zeros", "longest JSON length", "JSON length of zeros"],
)
def test_no_number_of_digits_fails_the_server(server: PeopleServer, header: str, value: str) -> None:
    lines = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": "2", "Connection": "close"} | {
        header: value
    }
    head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())
    with closing(connect(server)) as connection:
        connection.sendall(f"POST {INFER} HTTP/1.1\r\n{head}\r\n{{}}".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")


scalars = st.one_of(
    st.text(max_size=5),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.sampled_from([10**400, 1e308]),
)
labels = st.fixed_dictionaries({"request_id": scalars, "label": scalars}, optional={"row": scalars})


@few
@given(st.lists(labels, max_size=3))
def test_no_label_fails_the_server(client: httpx.Client, some: list[dict[str, Any]]) -> None:
    answer = client.post("/labels", content=json.dumps({"labels": some}))
    assert answer.status_code in (200, 400, 422), answer.text


@pytest.mark.parametrize("label", ["NaN", "Infinity", "-Infinity", "1e400", "-1e999", '"\\ud800"', "null", "[]"])
def test_a_label_that_is_no_value_is_refused(client: httpx.Client, label: str) -> None:
    body = f'{{"labels": [{{"request_id": "a", "label": {label}}}]}}'
    assert client.post("/labels", content=body).status_code in (400, 422)


TWICE = {
    "column": ("/predict", b'{"rows": [%b]}' % ROW.replace('"age"', '"age": 1, "age"').encode()),
    "escaped column": ("/predict", b'{"rows": [%b]}' % ROW.replace('"age"', '"\\u0061ge": 1, "age"').encode()),
    "commas in a text": (
        "/predict",
        b'{"rows": [%b]}' % ROW.replace('"age"', '"age": 1, "age"').replace('"secret": "', '"secret": ",,').encode(),
    ),
    "ignored column": ("/predict", b'{"rows": [%b]}' % ROW.replace('"age"', '"key": "a", "key": "b", "age"').encode()),
    "rows": ("/predict", b'{"rows": [], "rows": [%b]}' % ROW.encode()),
    "column beside NaN": ("/predict", b'{"rows": [%b]}' % ROW.replace('"age"', '"age": NaN, "age"').encode()),
    "record": ("/invocations", b'{"dataframe_records": [%b]}' % ROW.replace('"age"', '"age": 1, "age"').encode()),
    "instance": ("/invocations", b'{"instances": [%b]}' % ROW.replace('"age"', '"age": 1, "age"').encode()),
    "input": ("/invocations", b'{"inputs": %b}' % ROW.replace('"age"', '"age": 1, "age"').encode()),
    "header of CSV": ("/invocations", b"age,age\n1,2\n"),
    "tensor": (
        INFER,
        json.dumps({"inputs": [{"name": "age", "shape": [1], "datatype": "INT64", "data": [1]}] * 2}).encode(),
    ),
    "label": ("/labels", b'{"labels": [{"request_id": "a", "label": 1, "label": 2}]}'),
}


@pytest.mark.parametrize(("path", "body"), TWICE.values(), ids=TWICE)
def test_a_name_that_occurs_twice_is_refused(client: httpx.Client, path: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json" if body.startswith(b"{") else "text/csv"}
    answer = client.post(path, content=body, headers=headers)
    assert answer.status_code == 400
    assert "twice" in answer.json()["detail"]


def test_head_gets_what_get_gets_without_the_body(client: httpx.Client) -> None:
    paths = [path for path, item in client.get("/openapi.json").json()["paths"].items() if "get" in item]
    assert len(paths) > 8
    for path in [*paths, "/docs", "/docs/start.js", "/docs/swagger-ui.css", "/openapi.json", "/nothing"]:
        path = path.replace("{name}", "people").replace("{version}", "1")
        there, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (there.status_code, b""), path
        own = {"date", "x-request-id", "last-modified", "etag"}
        assert {*head.headers.items()} - {*there.headers.items()} == {
            item for item in head.headers.items() if item[0] in own and there.headers[item[0]] != item[1]
        }, path
    assert client.head("/predict").status_code == 405


def test_only_pages_of_the_allowed_origin_may_call(client: httpx.Client) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    preflight = client.options("/predict", headers=asked | {"Origin": ORIGIN})
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert client.options("/predict", headers=asked | {"Origin": "https://evil.example"}).status_code == 400
    for path, content in (("/predict", json.dumps({"rows": rows(1)})), ("/predict", "{}"), ("/nothing", "{}")):
        ours = client.post(path, content=content, headers={"Origin": ORIGIN})
        assert ours.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "X-Request-ID" in ours.headers["Access-Control-Expose-Headers"]
        theirs = client.post(path, content=content, headers={"Origin": "https://evil.example"})
        assert theirs.status_code == 403  # on loopback; elsewhere callers need a key
        assert "Access-Control-Allow-Origin" not in theirs.headers
        assert "Access-Control-Allow-Origin" not in client.post(path, content=content).headers
