"""Unmodified clients: Triton's over the Open Inference Protocol, MLflow's over /invocations."""

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import tritonclient.http as triton

from platform_lib.serving.auth.access import Access
from platform_lib.serving.auth.api_keys import KeyRing, new_key
from platform_lib.serving.http.app import create_app
from tests.serving.live import live
from tests.serving.sample_models import CLASSIFICATION, FixedSource, fitted, frame_of, loaded, rows

DTYPES: dict[str, Any] = {
    "integer": np.int64,
    "number": np.float64,
    "boolean": np.bool_,
    "string": np.object_,
    "datetime": np.object_,
}
NAMES = {np.int64: "INT64", np.float64: "FP64", np.bool_: "BOOL", np.object_: "BYTES"}
# Triton's client cannot express a missing text or boolean; missing numbers may be NaN.
WHOLE = [row for row in rows(60, seed=4) if None not in (row["vip"], row["town"], row["joined"], row["age"])][:5]
GAPS = [{**row, "age": None, "income": None} for row in WHOLE[:2]]

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with live(create_app(FixedSource(loaded(fitted(), version="7")))) as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(url.removeprefix("http://"), network_timeout=60, connection_timeout=60) as made:
        yield made


def inputs(some: list[dict[str, Any]], *, binary: bool, wide: bool = False) -> list[triton.InferInput]:
    made = []
    for name in CLASSIFICATION.features:
        values = [row[name] for row in some]
        dtype = np.float64 if None in values else DTYPES[CLASSIFICATION.columns[name].type]
        array = np.array([np.nan if value is None else value for value in values], dtype=dtype)
        array = array.reshape(-1, 1) if wide else array
        tensor = triton.InferInput(name, list(array.shape), NAMES[dtype])
        tensor.set_data_from_numpy(array, binary_data=binary)
        made.append(tensor)
    return made


def offline(some: list[dict[str, Any]]) -> tuple[list[str], Any]:
    pipeline, frame = fitted(), frame_of(some, CLASSIFICATION)
    return pipeline.predict(frame).tolist(), pipeline.predict_proba(frame)


def test_triton_finds_a_live_and_ready_server_with_this_model(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("people")
    assert client.is_model_ready("people", "7")
    assert not client.is_model_ready("people", "8")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]


def test_triton_reads_the_models_inputs_and_outputs(client: triton.InferenceServerClient) -> None:
    metadata = client.get_model_metadata("people", "7")
    assert {tensor["name"]: tensor["datatype"] for tensor in metadata["inputs"]} == {
        "age": "INT64",
        "income": "FP64",
        "vip": "BOOL",
        "town": "BYTES",
        "joined": "BYTES",
        "score": "FP64",
        "secret": "BYTES",
    }
    assert [(tensor["name"], tensor["datatype"], tensor["shape"]) for tensor in metadata["outputs"]] == [
        ("prediction", "BYTES", [-1]),
        ("probabilities", "FP64", [-1, 3]),
    ]
    assert metadata["outputs"][1]["parameters"] == {"classes": ["maybe", "no", "yes"]}


@pytest.mark.parametrize("wide", [False, True], ids=["[n]", "[n, 1]"])
@pytest.mark.parametrize("answers_binary", [False, True], ids=["json-out", "binary-out"])
@pytest.mark.parametrize("binary", [False, True], ids=["json-in", "binary-in"])
@pytest.mark.parametrize("some", [WHOLE, GAPS], ids=["whole", "gaps"])
def test_triton_gets_the_models_offline_predictions(
    client: triton.InferenceServerClient, some: list[dict[str, Any]], *, binary: bool, answers_binary: bool, wide: bool
) -> None:
    outputs = [
        triton.InferRequestedOutput(name, binary_data=answers_binary) for name in ("prediction", "probabilities")
    ]
    result = client.infer("people", inputs(some, binary=binary, wide=wide), outputs=outputs, request_id="mine")
    labels, shares = offline(some)
    given = result.as_numpy("prediction")
    assert [value.decode() if isinstance(value, bytes) else value for value in given.tolist()] == labels
    np.testing.assert_allclose(result.as_numpy("probabilities"), shares, rtol=1e-9)
    assert result.get_response()["id"] == "mine"
    assert result.get_response()["model_version"] == "7"


def test_triton_gets_the_reason_of_an_error(client: triton.InferenceServerClient) -> None:
    with pytest.raises(triton.InferenceServerException, match="row 0: column 'income' is missing"):
        client.infer("people", [tensor for tensor in inputs(WHOLE, binary=True) if tensor.name() != "income"])
    with pytest.raises(triton.InferenceServerException, match="nobody is not served here; people version 7 is"):
        client.infer("nobody", inputs(WHOLE, binary=True))
    with pytest.raises(triton.InferenceServerException, match="without Content-Encoding"):
        client.infer("people", inputs(WHOLE, binary=True), request_compression_algorithm="gzip")


def test_triton_sends_a_key_as_a_header(tmp_path: Any) -> None:
    key = new_key(tmp_path / "keys.yaml", "checkout", ["predict"])
    app = create_app(FixedSource(loaded(fitted())), access=Access(KeyRing(tmp_path / "keys.yaml")))
    with live(app) as address, triton.InferenceServerClient(address.removeprefix("http://")) as client:
        answer = client.infer("people", inputs(WHOLE, binary=True), headers={"Authorization": f"Bearer {key}"})
        assert answer.as_numpy("prediction").shape == (5,)
        with pytest.raises(triton.InferenceServerException, match="the key is missing"):
            client.infer("people", inputs(WHOLE, binary=True))


def frame(some: list[dict[str, Any]]) -> pd.DataFrame:
    """A data frame as people have it: datetimes, and missing values as pandas represents them."""
    made = pd.DataFrame(some)
    made["joined"] = pd.to_datetime(made["joined"])
    return made


@pytest.mark.slow
@pytest.mark.parametrize("some", [WHOLE, rows(20, seed=4)], ids=["whole", "gaps"])
def test_mlflows_client_sends_a_frame_with_missing_values_and_times(url: str, some: list[dict[str, Any]]) -> None:
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    client = ScoringServerClient("127.0.0.1", int(url.rsplit(":", 1)[1]))
    client.ping()
    client.wait_server_ready(timeout=10)
    assert client.invoke(frame(some)).get_predictions()[0].tolist() == offline(some)[0]


@pytest.mark.slow
def test_every_body_that_mlflows_functions_write_gets_predictions(url: str) -> None:
    from mlflow.deployments import PredictionsResponse
    from mlflow.models import convert_input_example_to_serving_input
    from mlflow.utils.proto_json_utils import dump_input_data

    some = rows(20, seed=4)
    records, lists = frame(some).to_dict("records"), frame(some).to_numpy(dtype=object).tolist()
    bodies = {
        "dataframe_split, by mlflow.models": convert_input_example_to_serving_input(frame(some)),
        "dataframe_split, by its scoring client": dump_input_data(frame(some)),
        "instances of records": dump_input_data(
            [{**row, "joined": str(row["joined"])} for row in records], inputs_key="instances"
        ),
        "inputs of lists": dump_input_data(
            [
                [str(value) if isinstance(value, pd.Timestamp | type(pd.NaT)) else value for value in row]
                for row in lists
            ]
        ),
    }
    for name, body in bodies.items():
        answer = httpx.post(
            f"{url}/invocations", content=body, headers={"Content-Type": "application/json"}, timeout=60
        )
        assert answer.status_code == 200, f"{name}: {answer.text}"
        assert PredictionsResponse.from_json(answer.text).get_predictions()[0].tolist() == offline(some)[0], name
