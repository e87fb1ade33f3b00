"""Request and response bodies of each protocol, without a server: meaning and refusals."""

import json
from typing import Any

import numpy as np
import pytest

from platform_lib.model.artifact import Predictions
from platform_lib.serving.predictor import as_json
from platform_lib.serving.protocols.codec import DecodedRequest
from platform_lib.serving.protocols.inference_response import InferOptions, encode_infer
from platform_lib.serving.protocols.json_body import BodyError
from platform_lib.serving.protocols.mlflow import decode_invocation
from platform_lib.serving.protocols.open_inference import decode_infer
from platform_lib.serving.protocols.rows import decode_rows

FEATURES = ("age", "city")
ROWS = [{"age": 31, "city": "Bern"}, {"age": None, "city": "Genf"}]
CLASSES = Predictions(np.array(["no", "yes"], dtype=object), np.array([[0.75, 0.25], [0.5, 0.5]]), ("no", "yes"))
NUMBERS = Predictions(np.array([1.5, -2.0]), None)


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["age", "city"], "data": [[31, "Bern"], [None, "Genf"]]}},
        {"dataframe_split": {"index": [7, 8], "columns": ["age", "city"], "data": [[31, "Bern"], [None, "Genf"]]}},
        {"dataframe_records": ROWS},
        {"instances": ROWS},
        {"instances": [[31, "Bern"], [None, "Genf"]]},
        {"inputs": {"age": [31, None], "city": ["Bern", "Genf"]}},
        {"inputs": [[31, "Bern"], [None, "Genf"]]},
        {"inputs": ROWS, "params": {}},
    ],
    ids=[
        "split",
        "split-index",
        "records",
        "instances",
        "instances-lists",
        "inputs-columns",
        "inputs-lists",
        "inputs-records",
    ],
)
def test_each_mlflow_format_gives_the_same_rows(body: dict[str, Any]) -> None:
    assert decode_invocation(json.dumps(body).encode(), FEATURES) == ROWS


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "the body has none of the four forms"),
        ({"instances": [], "inputs": []}, "the body has instances and inputs of the four forms"),
        ({"columns": ["age"], "data": [[1]]}, "unknown field `columns`"),
        (
            {"dataframe_split": {"columns": ["age"], "data": [[1, 2]]}},
            "row 0: dataframe_split.data has 2 values for 1 columns",
        ),
        ({"dataframe_split": {"columns": ["age", "age"], "data": []}}, "names a column twice"),
        ({"instances": [[1]]}, "row 0: instances has 1 values for the 2 columns age, city"),
        ({"instances": [1]}, "row 0: instances holds 1, expected an object or a list"),
        ({"inputs": {"age": [1], "city": ["a", "b"]}}, "inputs has columns of 1 and 2 values"),
        ({"instances": ROWS, "params": {"k": 1}}, "params holds 'k', but this model takes no parameters"),
    ],
)
def test_an_invalid_mlflow_body_is_refused_in_one_sentence(body: dict[str, Any], message: str) -> None:
    with pytest.raises(BodyError, match=message):
        decode_invocation(json.dumps(body).encode(), FEATURES)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"rows": NaN}',
        b'{"rows": [NaN]}',
        b'{"rows": [{"a": NaN, "b": "\\udc00"}]}',
        b'{"rows": [1]}',
        b"null",
    ],
)
def test_a_body_that_is_not_json_of_the_format_is_refused(body: bytes) -> None:
    with pytest.raises(BodyError, match=r"the body (is|does not)"):
        decode_rows(body)


def test_nan_and_infinity_are_values_of_their_row() -> None:
    (row,) = decode_rows(b'{"rows": [{"a": NaN, "b": Infinity, "c": -1e999, "d": "NaN"}]}')
    assert np.isnan(row.pop("a"))
    assert row == {"b": float("inf"), "c": float("-inf"), "d": "NaN"}


def tensor(name: str, datatype: str, data: Any, shape: list[int] | None = None, **parameters: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data, "parameters": parameters}


AGE, CITY = tensor("age", "INT64", [31, None]), tensor("city", "BYTES", ["Bern", "Genf"])


def infer(inputs: list[dict[str, Any]], raw: bytes = b"", **rest: Any) -> DecodedRequest:
    head = json.dumps({"inputs": inputs, **rest}).encode()
    return decode_infer(head + raw, len(head) if raw else None, FEATURES, has_probabilities=True)


def test_tensors_give_rows() -> None:
    assert infer([AGE, CITY]).rows == ROWS


def test_columns_may_be_tensors_of_shape_n_1() -> None:
    age = tensor("age", "INT64", [[31], [None]], [2, 1])
    assert infer([age, CITY]).rows == ROWS


def test_one_matrix_may_contain_all_columns_in_order() -> None:
    request = infer([tensor("input-0", "FP64", [1, 2, 3, 4], [2, 2])])
    assert request.rows == [{"age": 1, "city": 2}, {"age": 3, "city": 4}]


def test_binary_tensors_give_the_same_rows_as_json() -> None:
    age = np.array([31, np.nan]).astype("<f8").tobytes()
    city = b"\x04\x00\x00\x00Bern\x04\x00\x00\x00Genf"
    inputs = [
        {"name": "age", "datatype": "FP64", "shape": [2], "parameters": {"binary_data_size": len(age)}},
        {"name": "city", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(city)}},
    ]
    assert infer(inputs, age + city).rows == ROWS


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "inputs is empty"),
        ([AGE, AGE], "names a column twice"),
        ([tensor("age", "INT7", [1])], "datatype is 'INT7'"),
        ([tensor("age", "INT64", [1], [2])], r"the shape \[2\] needs 2 values, but there are 1"),
        ([tensor("age", "INT64", [1], [-1])], "negative length"),
        ([tensor("age", "INT64", [[[1]]], [1])], "nested deeper than its shape"),
        ([AGE, tensor("city", "BYTES", ["x"])], "columns of 1 and 2 rows"),
        ([tensor("age", "INT64", [1, 2, 3, 4], [2, 2]), CITY], r"expected \[n\] or \[n, 1\]"),
        ([tensor("x", "FP64", [1, 2, 3], [1, 3])], r"expected \[n, 2\] for the columns age, city"),
        ([tensor("age", "INT64", [1], binary_data_size=8)], "binary_data_size is 8, but 0 bytes of the body are left"),
    ],
)
def test_an_invalid_tensor_is_refused_in_one_sentence(inputs: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(BodyError, match=message):
        infer(inputs)


@pytest.mark.parametrize(
    ("datatype", "raw", "message"),
    [
        ("FP64", b"1234567", "not a whole number of FP64 values"),
        ("BYTES", b"\x09\x00\x00\x00ab", "is cut off"),
        ("BYTES", b"\x01\x00\x00\x00\xff", "not UTF-8"),
    ],
)
def test_malformed_binary_data_is_refused(datatype: str, raw: bytes, message: str) -> None:
    with pytest.raises(BodyError, match=message):
        infer([{"name": "age", "datatype": datatype, "shape": [1], "parameters": {"binary_data_size": len(raw)}}], raw)


def test_extra_bytes_are_refused() -> None:
    with pytest.raises(BodyError, match="3 bytes at the end of the body belong to no input"):
        infer([AGE, CITY], b"abc")


def test_only_the_requested_outputs_are_returned() -> None:
    assert infer([AGE, CITY]).options.outputs == {"prediction": False, "probabilities": False}
    assert infer(
        [AGE, CITY], outputs=[{"name": "prediction", "parameters": {"binary_data": True}}]
    ).options.outputs == {"prediction": True}
    with pytest.raises(BodyError, match="outputs asks for 'score', expected prediction or probabilities"):
        infer([AGE, CITY], outputs=[{"name": "score"}])


def test_a_response_in_json() -> None:
    options = InferOptions(id="mine", outputs={"prediction": False, "probabilities": False})
    body, length = encode_infer("churn", "3", options, CLASSES, "r1")
    assert length is None
    assert json.loads(body) == {
        "model_name": "churn",
        "model_version": "3",
        "id": "mine",
        "outputs": [
            {"name": "prediction", "shape": [2], "datatype": "BYTES", "data": ["no", "yes"]},
            {"name": "probabilities", "shape": [2, 2], "datatype": "FP64", "data": [0.75, 0.25, 0.5, 0.5]},
        ],
    }


def test_a_response_in_binary() -> None:
    options = InferOptions(id=None, outputs={"prediction": True, "probabilities": True})
    body, length = encode_infer("churn", "3", options, CLASSES, "r1")
    assert length is not None
    head = json.loads(body[:length])
    sizes = [output["parameters"]["binary_data_size"] for output in head["outputs"]]
    assert body[length : length + sizes[0]] == b"\x02\x00\x00\x00no\x03\x00\x00\x00yes"
    assert np.frombuffer(body[length + sizes[0] :], "<f8").tolist() == [0.75, 0.25, 0.5, 0.5]


def test_the_predict_response_names_the_classes() -> None:
    assert as_json(CLASSES) == {
        "predictions": ["no", "yes"],
        "probabilities": [{"no": 0.75, "yes": 0.25}, {"no": 0.5, "yes": 0.5}],
    }
    assert as_json(NUMBERS) == {"predictions": [1.5, -2.0]}
