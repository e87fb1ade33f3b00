"""The same value gets the same response and error text in every protocol and format.

Tested over real HTTP.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from platform_lib.serving.http.app import create_app
from platform_lib.serving.limits import Limits
from tests.serving.live import live
from tests.serving.sample_models import CLASSIFICATION, FixedSource, fitted, loaded, rows

DATATYPES = {"integer": "INT64", "number": "FP64", "boolean": "BOOL", "string": "BYTES", "datetime": "BYTES"}
INFER = "/v2/models/people/infer"
ROW = {
    **rows(2, seed=3)[1],
    "age": 41,
    "income": 1200.5,
    "vip": True,
    "town": "Bern",
    "joined": "2024-05-01T08:30:00",
    "score": 0.25,
}


@pytest.fixture(scope="module")
def server() -> Iterator[httpx.Client]:
    with (
        live(create_app(FixedSource(loaded(fitted())), Limits(max_body_bytes=2**20, max_rows=10))) as url,
        httpx.Client(base_url=url, timeout=60, headers={"Content-Type": "application/json"}) as client,
    ):
        yield client


Row = dict[str, Any]


def _columns(some: list[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in some for name in row))


def _as_lists(some: list[Row]) -> dict[str, Any]:
    names = _columns(some)
    return {"columns": names, "data": [[row[name] for name in names] for row in some]}


def _tensors(some: list[Row]) -> dict[str, Any]:
    types = {name: column.type for name, column in CLASSIFICATION.columns.items()}
    inputs = [
        {
            "name": name,
            "datatype": DATATYPES[types.get(name, "number")],
            "shape": [len(some)],
            "data": [row[name] for row in some],
        }
        for name in _columns(some)
    ]
    return {"inputs": inputs}


FORMS: dict[str, tuple[str, Callable[[list[Row]], Any]]] = {
    "rows": ("/predict", lambda some: {"rows": some}),
    "dataframe_split": ("/invocations", lambda some: {"dataframe_split": _as_lists(some)}),
    "dataframe_records": ("/invocations", lambda some: {"dataframe_records": some}),
    "instances": ("/invocations", lambda some: {"instances": some}),
    "inputs": ("/invocations", lambda some: {"inputs": {name: [row[name] for row in some] for name in _columns(some)}}),
    "tensors": (INFER, _tensors),
}


def labels_of(answer: httpx.Response) -> list[str]:
    document = answer.json()
    found: list[str] = document["outputs"][0]["data"] if "outputs" in document else document["predictions"]
    return found


NO_NUMBER, NO_DATE = "expected a finite number", "expected an ISO 8601 date or time as text"
FINE: dict[str, Row] = {
    "plain": {},
    "unknown category": {"town": "Atlantis"},
    "out of range": {"age": -5000, "score": 1e30},
    "null where nullable": {"age": None, "income": None, "vip": None, "town": None, "joined": None},
    "NaN where nullable": {"income": float("nan"), "age": float("nan"), "town": float("nan"), "vip": float("nan")},
    "pandas' missing time": {"joined": "NaT"},
    "whole number with a point": {"age": 41.0},
    "day without a time": {"joined": "2024-05-01"},
    "time with a zone": {"joined": "2024-05-01T08:30:00+02:00"},
    "first instant of the calendar, east of Greenwich": {"joined": "0001-01-01T00:00:00+03:00"},
    "last instant of the calendar, west of Greenwich": {"joined": "9999-12-31T23:59:59-03:00"},
    "empty text": {"town": ""},
    "target and id": {"churned": "yes", "key": "k1"},
}
BAD: dict[str, tuple[Row, str]] = {
    "text in a number": ({"income": "12"}, f"column 'income' is '12', {NO_NUMBER}."),
    "text in an integer": ({"age": "41"}, "column 'age' is '41', expected a whole number."),
    "fraction in an integer": ({"age": 1.5}, "column 'age' is 1.5, expected a whole number."),
    "integer beyond 64 bits": (
        {"age": 2**63},
        "column 'age' is 9223372036854775808, expected a whole number of at most 9.2e+18 either way.",
    ),
    "integer beyond every float": ({"age": -(10**400)}, "column 'age' is -1000"),
    "number beyond every use": (
        {"score": 1.1e30},
        f"column 'score' is 1.1e+30, {NO_NUMBER} of at most 1e+30 either way.",
    ),
    "boolean in a number": ({"score": True}, f"column 'score' is True, {NO_NUMBER}."),
    "number in a boolean": ({"vip": 1}, "column 'vip' is 1, expected true or false."),
    "number in a text": ({"town": 3}, "column 'town' is 3, expected a text."),
    "no date": ({"joined": "yesterday"}, f"column 'joined' is 'yesterday', {NO_DATE}."),
    "number for a date": ({"joined": 1714546800}, f"column 'joined' is 1714546800, {NO_DATE}."),
    "null where never missing": (
        {"score": None},
        f"column 'score' is null, {NO_NUMBER}; the contract says it is never missing.",
    ),
    "NaN where never missing": (
        {"score": float("nan")},
        f"column 'score' is null, {NO_NUMBER}; the contract says it is never missing.",
    ),
    "infinity": ({"income": float("inf")}, f"column 'income' is inf, {NO_NUMBER}."),
    "infinity below": ({"age": float("-inf")}, "column 'age' is -inf, expected a whole number."),
    "object": ({"town": {"a": 1}}, "column 'town' is {'a': 1}, expected a text."),
    "extra column": (
        {"wings": 2},
        "unknown column 'wings'; the columns are age, income, vip, town, joined, score, secret.",
    ),
}


@pytest.mark.parametrize("changes", FINE.values(), ids=FINE)
def test_a_valid_row_gets_the_same_prediction_in_every_format(server: httpx.Client, changes: Row) -> None:
    some = [ROW, {**ROW, **changes}]
    if "churned" in changes:
        some = [{**ROW, **changes}] * 2
    answers = {form: server.post(path, content=json.dumps(make(some))) for form, (path, make) in FORMS.items()}
    assert {form: answer.status_code for form, answer in answers.items()} == dict.fromkeys(FORMS, 200), answers[
        "rows"
    ].text
    assert len({tuple(labels_of(answer)) for answer in answers.values()}) == 1


@pytest.mark.parametrize(("changes", "detail"), BAD.values(), ids=BAD)
def test_an_invalid_value_gets_the_same_error_in_every_format(server: httpx.Client, changes: Row, detail: str) -> None:
    answers = {
        form: server.post(path, content=json.dumps(make([{**ROW, **changes}]))) for form, (path, make) in FORMS.items()
    }
    assert {form: answer.status_code for form, answer in answers.items()} == dict.fromkeys(FORMS, 422), answers[
        "rows"
    ].text
    assert {answer.headers["Content-Type"] for answer in answers.values()} == {"application/problem+json"}
    assert len({answer.json()["detail"] for answer in answers.values()}) == 1
    assert answers["rows"].json()["detail"].startswith(f"row 0: {detail}")


def test_a_missing_column_gets_the_same_error_in_every_format(server: httpx.Client) -> None:
    lacking = {name: value for name, value in ROW.items() if name != "income"}
    answers = [server.post(path, content=json.dumps(make([lacking]))) for path, make in FORMS.values()]
    assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {
        (422, "row 0: column 'income' is missing; send null if the value is not known and the column is nullable.")
    }


def test_a_list_as_a_value_is_refused_in_every_format(server: httpx.Client) -> None:
    answers = {
        form: server.post(path, content=json.dumps(make([{**ROW, "income": [1, 2]}])))
        for form, (path, make) in FORMS.items()
    }
    # A tensor with nested data has another shape, so the body is wrong, not the row.
    assert {form: answer.status_code for form, answer in answers.items()} == dict.fromkeys(FORMS, 422) | {
        "tensors": 400
    }


EMPTY = {
    "rows": {"rows": []},
    "dataframe_split": {"dataframe_split": {"columns": list(ROW), "data": []}},
    "dataframe_records": {"dataframe_records": []},
    "instances": {"instances": []},
    "inputs": {"inputs": {name: [] for name in ROW}},
    "tensors": {"inputs": [{"name": name, "datatype": "FP64", "shape": [0], "data": []} for name in ROW]},
}


@pytest.mark.parametrize("form", FORMS)
def test_no_rows_or_too_many_get_the_same_error_in_every_format(server: httpx.Client, form: str) -> None:
    path, make = FORMS[form]
    none, many = (
        server.post(path, content=json.dumps(EMPTY[form])),
        server.post(path, content=json.dumps(make([ROW] * 11))),
    )
    assert (none.status_code, none.json()["detail"]) == (422, "the body holds no rows, expected at least one row.")
    assert many.status_code == 422
    assert many.json()["detail"].startswith("the body holds 11 rows, but the maximum per request is 10 rows.")


BROKEN: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "no JSON": (b"{", 400),
    "another form": (b"{}", 400),
    "a list": (b"[]", 400),
    "not UTF-8": (b'{"a": "\xff"}', 400),
    "half a character": (b'{"a": "\\ud800", "b": NaN}', 400),
    "nested deeply": (b"[" * 100_000, 400),
    "nested deeply with NaN": (b"[" * 100_000 + b"NaN", 400),
    "10 MB": (b'{"rows": [' + b" " * 10_000_000 + b"]}", 413),
}


@pytest.mark.parametrize(("body", "status"), BROKEN.values(), ids=BROKEN)
def test_a_malformed_body_gets_the_same_error_in_every_protocol(server: httpx.Client, body: bytes, status: int) -> None:
    answers = [server.post(path, content=body) for path in ("/predict", "/invocations", INFER)]
    assert [(answer.status_code, answer.headers["Content-Type"]) for answer in answers] == [
        (status, "application/problem+json")
    ] * 3


@pytest.mark.parametrize("path", ["/predict", "/invocations", INFER])
def test_a_compressed_body_is_refused_with_a_reason(server: httpx.Client, path: str) -> None:
    answer = server.post(path, content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415
    assert (
        answer.json()["detail"] == "the body is compressed with 'gzip'; send it uncompressed, without Content-Encoding."
    )


def test_binary_tensors_get_the_same_errors_as_json_tensors(server: httpx.Client) -> None:
    def binary(score: float, income: float) -> httpx.Response:
        inputs, raw = [], b""
        for name, value in {**ROW, "score": score, "income": income}.items():
            datatype = DATATYPES[CLASSIFICATION.columns[name].type]
            packed = _packed(value, datatype)
            inputs.append(
                {"name": name, "datatype": datatype, "shape": [1], "parameters": {"binary_data_size": len(packed)}}
            )
            raw += packed
        head = json.dumps({"inputs": inputs}).encode()
        return server.post(
            INFER,
            content=head + raw,
            headers={"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"},
        )

    assert labels_of(binary(0.25, 1200.5)) == labels_of(server.post("/predict", content=json.dumps({"rows": [ROW]})))
    assert binary(0.25, np.nan).status_code == 200
    assert binary(np.nan, 1.0).json()["detail"] == f"row 0: {BAD['NaN where never missing'][1]}"
    assert binary(0.25, np.inf).json()["detail"] == f"row 0: {BAD['infinity'][1]}"


def _packed(value: Any, datatype: str) -> bytes:
    if datatype == "BYTES":
        return len(value).to_bytes(4, "little") + str(value).encode()
    return np.array([value], dtype={"INT64": "<i8", "FP64": "<f8", "BOOL": "?"}[datatype]).tobytes()


def as_csv(some: list[Row], separator: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator)
    writer.writerow(_columns(some))
    writer.writerows(row.values() for row in some)
    return text.getvalue().encode()


def post_csv(server: httpx.Client, body: bytes, kind: str = "text/csv") -> httpx.Response:
    return server.post("/invocations", content=body, headers={"Content-Type": kind})


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_gets_the_predictions_of_the_same_rows(server: httpx.Client, separator: str) -> None:
    some = [ROW, {**ROW, **FINE["null where nullable"]}, {**ROW, "town": "  Bern ", "vip": False}]
    there = server.post("/invocations", content=json.dumps({"dataframe_records": some}))
    for kind in ("text/csv", "text/CSV; charset=UTF-8", "text/csv;header=present"):
        answer = post_csv(server, as_csv(some, separator), kind)
        assert (answer.status_code, answer.json()) == (200, there.json())


def test_csv_is_read_as_batch_prediction_reads_files(server: httpx.Client) -> None:
    row = {"": 7, **ROW, "income": "1200,5", "age": " 41 ", "vip": "TRUE", "town": "NA"}  # with pandas' index
    given = as_csv([row], ";")
    meant = {"rows": [{**ROW, "income": 1200.5, "age": 41, "vip": True, "town": None}]}
    assert labels_of(post_csv(server, b"\xef\xbb\xbfsep=;\n" + given)) == labels_of(
        server.post("/predict", content=json.dumps(meant))
    )


BAD_CSV: dict[str, tuple[bytes, int, str]] = {
    "a text in a number": (as_csv([{**ROW, "income": "much"}]), 422, "row 0: column 'income' is 'much', expected"),
    "a fraction in an integer": (as_csv([ROW, {**ROW, "age": 1.5}]), 422, "row 1: column 'age' is 1.5, expected"),
    "a gap": (as_csv([{**ROW, "score": None}]), 422, "row 0: column 'score' is null, expected"),
    "another column": (as_csv([{**ROW, "wings": 2}]), 422, "row 0: unknown column 'wings'"),
    "too many rows": (as_csv([ROW] * 11), 422, "the body holds more than 10 rows, but the maximum per request is 10"),
    "no rows": (as_csv([ROW]).splitlines()[0], 422, "the body holds no rows"),
    "nothing": (b"", 400, "the body is empty, expected CSV with a header row."),
    "a blank name": (b"age,,income\n0,1,2\n", 400, "the header's column 2 has no name, expected"),
    "a short line": (b"age,income\n1,2\n3,4\n1\n", 400, "line 4 has 1 values, expected 2 as in the header."),
    "not UTF-8": (b"town\n\xff\n", 400, "the body is not CSV in UTF-8."),
    "an endless cell": (b'town\n"' + b"a" * 200_000, 400, "the body is not CSV: field larger than field limit"),
}


@pytest.mark.parametrize(("body", "status", "detail"), BAD_CSV.values(), ids=BAD_CSV)
def test_csv_that_does_not_fit_gets_one_sentence(server: httpx.Client, body: bytes, status: int, detail: str) -> None:
    answer = post_csv(server, body)
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(detail)


def test_csv_in_another_encoding_is_refused(server: httpx.Client) -> None:
    answer = post_csv(server, as_csv([ROW]), "text/csv; charset=latin-1")
    assert (answer.status_code, answer.json()["detail"]) == (
        415,
        "the body is declared as CSV in 'latin-1', expected utf-8.",
    )


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_an_uncompressed_body_may_say_so(server: httpx.Client, coding: str) -> None:
    answer = server.post("/predict", content=json.dumps({"rows": [ROW]}), headers={"Content-Encoding": coding})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("column", "datatype", "value", "status"),
    [
        ("age", "INT8", 300, 422),
        ("age", "UINT8", -1, 422),
        ("age", "INT8", -128, 200),
        ("age", "INT64", 41.0, 200),
        ("age", "FP64", 41, 200),
        ("age", "BOOL", 41, 422),
        ("score", "INT64", 0.5, 422),
        ("score", "FP32", 0.5, 200),
        ("score", "FP16", 1e5, 422),
        ("score", "BYTES", 0.5, 422),
        ("vip", "INT8", True, 422),
        ("town", "FP32", "Bern", 422),
    ],
)
def test_a_value_must_fit_the_declared_datatype(
    server: httpx.Client, column: str, datatype: str, value: Any, status: int
) -> None:
    # A time sends the whole body the general way, its absence the fast way.
    for base in (ROW, {**ROW, "joined": None}):
        body = _tensors([base, {**base, column: value}])
        next(tensor for tensor in body["inputs"] if tensor["name"] == column)["datatype"] = datatype
        answer = server.post(INFER, content=json.dumps(body))
        assert answer.status_code == status, answer.text
        if status == 422:
            assert f"input {column!r}: the value" in answer.json()["detail"]
            assert f"is not of the declared datatype {datatype}" in answer.json()["detail"]


@pytest.mark.parametrize("content_type", ["base64", "hg_jsonlist", ["np"], 1])
def test_an_encoding_inside_of_tensors_is_refused(server: httpx.Client, content_type: Any) -> None:
    inside, outside = _tensors([ROW]), _tensors([ROW])
    inside["inputs"][3]["parameters"] = outside["parameters"] = {"content_type": content_type}
    for body in (inside, outside):
        answer = server.post(INFER, content=json.dumps(body))
        assert answer.status_code == 400
        assert "parameters.content_type is" in answer.json()["detail"]
    outside["parameters"] = {"content_type": "pd"}
    assert server.post(INFER, content=json.dumps(outside)).status_code == 200
