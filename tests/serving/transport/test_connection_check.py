"""Without the private attributes of uvicorn and prometheus_client the server works, more slowly, and reports it."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from platform_lib.serving.transport.connection_check import connection_problem
from tests.serving.people_server import PeopleServer, people_server
from tests.serving.sample_models import rows

pytestmark = [pytest.mark.slow]

OTHER_UVICORN = """
from uvicorn.protocols.http import httptools_impl
original = httptools_impl.RequestResponseCycle.__init__
def renamed(self, *arguments, **more):
    original(self, *arguments, **more)
    self.headers_by_default = self.default_headers
    del self.default_headers
httptools_impl.RequestResponseCycle.__init__ = renamed
"""
OTHER_PROMETHEUS = """
import os, tempfile
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp())
from prometheus_client import Histogram
original = Histogram._metric_init
def renamed(self):
    original(self)
    self._cells = self._buckets
    del self._buckets
def observe(self, amount, exemplar=None):
    self._sum.inc(amount)
    next(cell for bound, cell in zip(self._upper_bounds, self._cells) if amount <= bound).inc(1)
Histogram._metric_init, Histogram.observe = renamed, observe
"""


def answers(server: PeopleServer) -> list[Any]:
    """Responses to good and bad requests of each protocol, without what differs from request to request."""
    found: list[Any] = []
    for path, body in (
        ("predict", {"rows": rows(3)}),
        ("predict", {"rows": [{"age": 1}]}),
        ("predict", {"row": []}),
        ("invocations", {"dataframe_records": rows(2)}),
        ("v2/models/other/infer", {"inputs": []}),
        ("nowhere", {}),
    ):
        response = httpx.post(f"{server.url}/{path}", json=body, headers={"X-Request-ID": "same"}, timeout=60)
        found.append((response.status_code, response.headers["content-type"], response.headers["x-request-id"]))
        found.append(response.json())
    found.append({count: server.metric(count) for count in ("mlp_requests_total", "mlp_batch_rows_sum")})
    found.append(server.metric("mlp_batch_rows_bucket"))
    return found


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    with people_server(tmp_path_factory.mktemp("usual")) as server:
        assert server.model()["problems"] == []
        return answers(server)


def test_the_installed_uvicorn_is_supported() -> None:
    assert connection_problem() is None


def test_another_uvicorn_is_served_by_its_own_protocol_class(usual: list[Any], tmp_path: Path) -> None:
    with people_server(tmp_path, before=OTHER_UVICORN) as server:
        assert answers(server) == usual
        (problem,) = server.model()["problems"]
        assert "does not support our fast connections (AttributeError" in problem
        assert problem in server.log()


def test_another_prometheus_client_counts_the_same(usual: list[Any], tmp_path: Path) -> None:
    with people_server(tmp_path, before=OTHER_PROMETHEUS) as server:
        assert answers(server) == usual
        (problem,) = server.model()["problems"]
        assert problem.startswith("prometheus-client ")
        assert problem in server.log()
