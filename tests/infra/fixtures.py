"""Fixtures for the tests of the infrastructure."""

import os
from pathlib import Path

import pytest

from platform_lib.infra.base.versions import CHARTS
from tests.engines import need_engine
from tests.infra.chart_stubs.files import write_mirror


@pytest.fixture(scope="session")
def chart_mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of stub charts, as an air-gapped user's chart mirror: `NAME/` and `NAME-VERSION.tgz` with an index."""
    return write_mirror(tmp_path_factory.mktemp("chart-mirror"))


@pytest.fixture(scope="session")
def real_charts() -> Path:
    """The folder of the real charts as `NAME-VERSION.tgz`; `make charts` fills one."""
    folder = os.environ.get("MLP_CHARTS")
    if not folder:
        pytest.skip("no MLP_CHARTS: `make charts` pulls the charts, and MLP_CHARTS names their folder")
    missing = [name for name, chart in CHARTS.items() if not (Path(folder) / f"{name}-{chart.version}.tgz").is_file()]
    if missing:
        pytest.fail(
            f"MLP_CHARTS is {folder}, which lacks {', '.join(missing)} at the pinned version: run `make charts`"
        )
    return Path(folder)


@pytest.fixture(scope="session")
def pulumi_engine() -> Path:
    """The Pulumi command-line tool: without it a test skips, or fails under REQUIRE_ENGINES."""
    return need_engine("pulumi", "make pulumi")


@pytest.fixture(scope="session")
def kubernetes_provider_engine() -> Path:
    """Pulumi's Kubernetes provider: without it a test skips, or fails under REQUIRE_ENGINES."""
    return need_engine("pulumi-resource-kubernetes", "make pulumi")
