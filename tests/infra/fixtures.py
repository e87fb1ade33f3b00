"""What the tests of the infrastructure share."""

from pathlib import Path

import pytest

from tests.infra.chart_files import write_mirror


@pytest.fixture(scope="session")
def chart_mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of stub charts, as an air-gapped user's chart mirror: `NAME/` and `NAME-VERSION.tgz` with an index."""
    return write_mirror(tmp_path_factory.mktemp("chart-mirror"))
