"""The tensor decoder equals the generic one on valid tensors and leaves it everything else."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.rows import rows_of
from platform_lib.errors import UsageError
from platform_lib.serving.protocols.open_inference import decode_infer
from platform_lib.serving.protocols.tensor_decoder import TensorDecoder
from tests.serving.sample_models import CLASSIFICATION

TIMELESS = msgspec.structs.replace(
    CLASSIFICATION, columns={name: column for name, column in CLASSIFICATION.columns.items() if name != "joined"}
)
PLAIN = DataContract(
    name="plain",
    path="p.csv",
    task="regression",
    target="y",
    columns={name: Column(type="number", nullable=True) for name in ("a", "b", "y")},
)
DATATYPES = {"integer": "INT64", "number": "FP64", "boolean": "BOOL", "string": "BYTES"}


def body_of(inputs: Any, **rest: Any) -> bytes:
    return json.dumps({"inputs": inputs, **rest}).encode()


def columns(contract: DataContract, values: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [
        {"name": name, "datatype": DATATYPES[contract.columns[name].type], "shape": [len(some)], "data": some}
        for name, some in values.items()
    ]


def matrix(data: Any, shape: list[int], name: str = "rows") -> list[dict[str, Any]]:
    return [{"name": name, "datatype": "FP64", "shape": shape, "data": data}]


def plainly(body: bytes, contract: DataContract) -> Any:
    """The result of the tensor decoder, or None if it leaves the body to the generic one."""
    request = decode_infer(body, None, contract.features, has_probabilities=True, decoder=TensorDecoder(contract))
    return list(request.rows) if request.is_checked else None


def plainly_or_refused(body: bytes, contract: DataContract) -> Any:
    """Like `plainly`, and None where the body is refused."""
    try:
        return plainly(body, contract)
    except UsageError:
        return None


def ordinary(body: bytes, contract: DataContract) -> Any:
    try:
        request = decode_infer(body, None, contract.features, has_probabilities=True)
        return rows_of(request.rows, contract)  # type: ignore[arg-type]
    except UsageError:
        return None


anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
    | st.sampled_from([2**53 + 1, 1e308, 3.0, 1.5, [1], [[2]], {"a": 1}, "1"])
)
honest = {
    "age": st.none() | st.integers(18, 90),
    "income": st.none() | st.integers(0, 5) | st.floats(0, 1e6),
    "vip": st.none() | st.booleans(),
    "town": st.none() | st.sampled_from(["Bern", "Genf", "ünï"]),
    "score": st.floats(-1, 1),
    "secret": st.text(max_size=3),
}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.data(),
    count=st.integers(1, 3),
    wrong=st.dictionaries(st.sampled_from([*honest, "other"]), st.lists(anything, max_size=3), max_size=2),
)
def test_accepted_columns_equal_the_generic_decoders(
    data: st.DataObject, count: int, wrong: dict[str, list[Any]]
) -> None:
    values = {name: data.draw(st.lists(some, min_size=count, max_size=count)) for name, some in honest.items()}
    right = body_of(columns(TIMELESS, values))
    assert plainly(right, TIMELESS) == ordinary(right, TIMELESS) is not None
    body = body_of(
        [
            {"name": name, "datatype": "FP64", "shape": [len(some)], "data": some}
            for name, some in (values | wrong).items()
        ]
    )
    taken = plainly_or_refused(body, TIMELESS)
    if taken is not None:
        assert taken == ordinary(body, TIMELESS)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(*[st.none() | st.integers(-5, 5) | st.floats(-1e9, 1e9)] * 2), min_size=1, max_size=4),
    nested=st.booleans(),
    shape=st.none() | st.lists(st.integers(-1, 4), max_size=3),
    odd=st.none() | anything,
)
def test_an_accepted_matrix_equals_the_generic_decoders(
    rows: list[tuple[Any, ...]], *, nested: bool, shape: list[int] | None, odd: Any
) -> None:
    data = [list(row) for row in rows] if nested else [value for row in rows for value in row]
    right = body_of(matrix(data, [len(rows), 2]))
    assert plainly(right, PLAIN) == ordinary(right, PLAIN) == [tuple(row) for row in rows]
    body = body_of(matrix([*data, odd] if odd is not None else data, [len(rows), 2] if shape is None else shape))
    taken = plainly_or_refused(body, PLAIN)
    if taken is not None:
        assert taken == ordinary(body, PLAIN)


@pytest.mark.parametrize(
    "inputs",
    [
        columns(PLAIN, {"a": [1.0]}),
        columns(PLAIN, {"a": [1.0], "b": [2.0, 3.0]}),
        [*columns(PLAIN, {"a": [1.0], "b": [2.0]}), *columns(PLAIN, {"a": [4.0]})],
        matrix([1.0, 2.0, 3.0], [1, 3]),
        matrix([[1.0], [2.0, 3.0, 4.0]], [2, 2]),
        matrix([1.0, "2"], [1, 2]),
        [{**matrix([1.0, 2.0], [1, 2])[0], "parameters": {"binary_data_size": 16}}],
        [{**matrix([1.0, 2.0], [1, 2])[0], "datatype": "FP65"}],
    ],
    ids=["missing column", "lengths", "twice", "width", "ragged", "text", "binary", "datatype"],
)
def test_unusual_tensors_are_left_to_the_generic_decoder(inputs: Any) -> None:
    assert plainly_or_refused(body_of(inputs), PLAIN) is None


def test_times_are_left_to_the_generic_decoder() -> None:
    values = {
        "age": [1],
        "income": [1.0],
        "vip": [True],
        "town": ["Bern"],
        "joined": ["no time"],
        "score": [0.5],
        "secret": ["a"],
    }
    inputs = [{"name": name, "datatype": "BYTES", "shape": [1], "data": some} for name, some in values.items()]
    assert plainly(body_of(inputs), CLASSIFICATION) is None


def test_requested_outputs_and_id_are_kept() -> None:
    body = body_of(matrix([1.0, 2.0], [1, 2]), id="mine", outputs=[{"name": "prediction"}])
    request = decode_infer(body, None, PLAIN.features, has_probabilities=True, decoder=TensorDecoder(PLAIN))
    assert (request.is_checked, request.options.id, request.options.outputs) == (True, "mine", {"prediction": False})
