"""The typed decoder accepts only what the generic one accepts, with the same result.

It leaves everything else to the generic decoder.
"""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.rows import columns_of, rows_of
from platform_lib.errors import UsageError
from platform_lib.serving.protocols.json_body import BodyError
from platform_lib.serving.protocols.row_decoder import RowDecoder
from platform_lib.serving.protocols.rows import decode_rows
from tests.serving.protocols.random_rows import any_rows
from tests.serving.sample_models import CLASSIFICATION, rows

DECODER = RowDecoder(CLASSIFICATION, "rows")

anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(
        [
            "2024-01-01",
            "2024-02-30",
            "0001-01-01T00:00:00+23:59",
            2**53 + 1,
            -(2**64),
            1e308,
            3.0,
            1.5,
            [1],
            {"a": 1},
            "1",
        ]
    )
)


def ordinary(body: bytes) -> Any:
    try:
        return rows_of(decode_rows(body), CLASSIFICATION)
    except UsageError:
        return None


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    some=any_rows(CLASSIFICATION),
    wrong=st.dictionaries(st.sampled_from([*CLASSIFICATION.columns, "other"]), anything, max_size=2),
)
def test_accepted_rows_equal_the_generic_decoders_and_invalid_ones_are_not_accepted(
    some: list[dict[str, Any]], wrong: dict[str, Any]
) -> None:
    body = json.dumps({"rows": [*some, {**some[0], **wrong}]}).encode()
    taken = DECODER.decode(body)
    if taken is not None:
        assert taken == ordinary(body)


def test_valid_rows_are_accepted_with_and_without_target_and_id() -> None:
    honest = rows(20)
    told = [{**row, "key": 7, "churned": ["anything"]} for row in honest]
    for some in (honest, told):
        assert DECODER.decode(json.dumps({"rows": some}).encode()) == rows_of(honest, CLASSIFICATION)


@pytest.mark.parametrize("number", [2**53, 2**53 + 1, -(2**53) - 1, 2.0**53])
def test_an_integer_that_no_float_represents_is_left_to_the_generic_decoder(number: float) -> None:
    assert DECODER.decode(json.dumps({"rows": [{**rows(1)[0], "age": number}]}).encode()) is None


def test_an_integer_literal_becomes_the_same_float_in_both_decoders() -> None:
    body = json.dumps({"rows": [{**rows(1)[0], "income": 2**53 + 1}]}).encode()
    assert DECODER.decode(body) == ordinary(body)
    assert ordinary(body)[0][CLASSIFICATION.features.index("income")] == 2.0**53


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'{"rows": [{"score": nan}]}', b'{"row": []}', b"[" * 100_000, b"null"]
)
def test_no_body_makes_the_decoder_raise(body: bytes) -> None:
    assert DECODER.decode(body) is None
    with pytest.raises(BodyError):
        decode_rows(body)


def test_names_that_are_not_python_identifiers_can_be_columns() -> None:
    names = ["class", "a b", "c0", "rows", "__init__", "ü-1"]
    contract = DataContract(
        name="odd",
        path="x",
        task="regression",
        target="y",
        columns={**{name: Column(type="number") for name in names}, "y": Column(type="number")},
    )
    body = json.dumps({"rows": [dict.fromkeys(names, 1)]}).encode()
    assert RowDecoder(contract, "rows").decode(body) == [(1.0,) * 6]
    assert columns_of([(1.0,) * 6], contract.features) == dict.fromkeys(names, (1.0,))


@pytest.mark.parametrize("name", ['dia "mm"', "back\\slash", '"', "\\"])
def test_a_name_that_the_compiled_decoder_refuses_leaves_the_body_to_the_general_path(name: str) -> None:
    contract = DataContract(
        name="t",
        path="t.csv",
        task="classification",
        target="y",
        columns={name: Column(type="number"), "y": Column(type="string", allowed=["a", "b"])},
    )
    assert RowDecoder(contract, "rows").decode(json.dumps({"rows": [{name: 1.0}]}).encode()) is None
