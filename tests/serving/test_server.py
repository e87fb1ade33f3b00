"""Server start: the address, the port, the model and the printed example request."""

import json
import shlex
import socket
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from platform_lib.data.sample_rows import made_up_row
from platform_lib.errors import NotFound, ServiceError, UsageError
from platform_lib.model.artifact import Predictions
from platform_lib.serving.models.described_model import curl_example
from platform_lib.serving.models.served_model import ServedModel
from platform_lib.serving.server import _resolve, check_host, open_listener
from platform_lib.settings import Project, Settings
from tests.serving.sample_models import CLASSIFICATION, loaded


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_addresses_are_accepted(host: str) -> None:
    check_host(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "10.0.0.1"])
def test_other_addresses_are_refused_without_keys(host: str) -> None:
    with pytest.raises(UsageError, match="would let other machines call without a key"):
        check_host(host)


@pytest.mark.parametrize("host", ["example.org", "", "127.0.0.1:8000"])
def test_an_invalid_address_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match="expected an IP address such as"):
        check_host(host)


def test_a_taken_port_is_reported_with_its_holder_and_a_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            ServiceError,
            match=rf"port {port} is taken by .+ \(process \d+\): stop that, or choose another with --port, such as --port {port + 1}\.",
        ):
            open_listener("127.0.0.1", port)


def test_port_0_chooses_a_free_port() -> None:
    with open_listener("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1] > 0


def test_the_printed_request_works_in_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    example = {"town": "L'Abbaye", "score": 0.5, "age": None}
    served = ServedModel(
        model=loaded(None),
        tags={},
        example=example,
        example_prediction=Predictions(np.zeros(1), None),
        profile=None,
        since=datetime.now(UTC),
    )
    words = shlex.split(curl_example("http://127.0.0.1:8000", served, needs_key=False).removeprefix("Try:\n"))
    assert words[:3] == ["curl", "-s", "http://127.0.0.1:8000/predict"]
    assert words[3:5] == ["-H", "Content-Type: application/json"]
    assert json.loads(words[-1]) == {"rows": [made_up_row(CLASSIFICATION)]}
    assert ' -H "Authorization: Bearer $KEY"' in curl_example("http://127.0.0.1:8000", served, needs_key=True)
    strict = replace(served, predicts_made_up_row=False)
    assert "GET /model" in curl_example("http://127.0.0.1:8000", strict, needs_key=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "pyproject.toml").write_text('[tool.mlp]\nmodel = "churn"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return Project(root=tmp_path, name="churn", package="churn")


@pytest.mark.parametrize(
    ("text", "meant"),
    [(None, "churn@champion"), ("7", "churn/7"), ("@candidate", "churn@candidate"), ("models:/other/3", "other/3")],
)
def test_in_a_project_the_default_is_the_champion_in_its_store(text: str | None, meant: str, here: Project) -> None:
    project, reference, uri = _resolve(text, Settings())
    assert (project, str(reference)) == (here, meant)
    assert uri == f"sqlite:///{(here.root / '.mlp' / 'mlflow.db').as_posix()}"


def test_the_local_platforms_registry_is_read_without_its_server(here: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mlflow:
        here.state_dir.mkdir()
        state = {"services": {"mlflow": {"pid": 1, "url": f"http://127.0.0.1:{mlflow.getsockname()[1]}"}}}
        (here.state_dir / "platform.json").write_text(json.dumps(state), encoding="utf-8")
        _, _, uri = _resolve(None, Settings())
    assert uri.startswith("sqlite:///")


def test_a_shared_registry_comes_from_the_environment(here: Project) -> None:
    assert _resolve(None, Settings(tracking_uri="https://mlflow.example.org"))[2] == "https://mlflow.example.org"


def test_outside_a_project_model_and_registry_must_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(tracking_uri="https://mlflow.example.org")
    project, reference, uri = _resolve("churn@champion", settings)
    assert (project, str(reference), uri) == (None, "churn@champion", "https://mlflow.example.org")
    for text, given in ((None, settings), ("churn", Settings())):
        with pytest.raises(NotFound, match="is not inside a project"):
            _resolve(text, given)
