"""Fixture for the request log: an empty local folder."""

from pathlib import Path

import pytest

from platform_lib.serving.request_log.files import LogFolder


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    return LogFolder.at(str(tmp_path))
