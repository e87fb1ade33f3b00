"""Fixtures for the tests of the infrastructure."""

from pathlib import Path

import pytest

from tests.engines import need_engine
from tests.infra.chart_files import write_mirror


@pytest.fixture(scope="session")
def chart_mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of stub charts, as an air-gapped user's chart mirror: `NAME/` and `NAME-VERSION.tgz` with an index."""
    return write_mirror(tmp_path_factory.mktemp("chart-mirror"))


@pytest.fixture(scope="session")
def pulumi_engine() -> Path:
    """The Pulumi command-line tool: without it a test skips, or fails under REQUIRE_ENGINES."""
    return need_engine("pulumi", "make pulumi")


@pytest.fixture(scope="session")
def kubernetes_provider_engine() -> Path:
    """Pulumi's Kubernetes provider: without it a test skips, or fails under REQUIRE_ENGINES."""
    return need_engine("pulumi-resource-kubernetes", "make pulumi")
