"""A team's namespace on a real API server, and a kubectl that reaches it."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from platform_lib.infra.base.outputs import outputs_data
from tests.engines import need_engine
from tests.infra.shared import SHARED
from tests.k8slab.lab import Lab

FAKE_KUBECTL = Path(__file__).with_name("fake_kubectl.py")


@pytest.fixture(scope="module")
def team(lab: Lab) -> Iterator[Lab]:
    """The namespace team-red as the shared stack creates it, with the platform's outputs."""
    objects = [
        namespace("team-red"),
        namespace("mlp-ingress"),
        *(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "platform-outputs", "namespace": name},
                "data": outputs_data(SHARED),
            }
            for name in ("team-red", "mlp-ingress")
        ),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "mlflow-credentials", "namespace": "team-red"},
            "stringData": {"username": "team-red", "password": "p w"},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "prefect-auth", "namespace": "team-red"},
            "stringData": {"auth-string": "edge:p e"},
        },
    ]
    lab.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    yield lab
    lab.kubectl("delete", "namespace", "team-red", "mlp-ingress", "--wait=true")


def namespace(name: str, **labels: str) -> dict[str, object]:
    """A namespace as a dictionary."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


@pytest.fixture
def kubectl_reaches(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`kubectl_reaches({"mlp-mlflow/svc/mlflow:5000": port})`: put the fake kubectl on PATH.

    It forwards everything else to the real kubectl and the lab cluster.
    """

    real = need_engine("kubectl")

    def put(forwards: dict[str, int] | None = None, says: str = "closed") -> None:
        program = tmp_path / "bin" / "kubectl"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE_KUBECTL} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{real.parent}", prepend=":")
        monkeypatch.setenv("KUBECONFIG", str(lab.kubeconfig))
        monkeypatch.setenv("MLP_TEST_KUBECTL", str(real))
        monkeypatch.setenv("MLP_TEST_FORWARDS", json.dumps(forwards or {}))
        monkeypatch.setenv("MLP_TEST_EXEC", says)

    return put
