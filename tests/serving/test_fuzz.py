"""All schemathesis checks against the running server: no request causes a 500.

Requests that match the description get predictions; others are refused. Few examples, for time; `python -m
benchmarks.fuzz_api --examples 200` is the long run.
"""

from pathlib import Path

import pytest

from benchmarks.fuzz_api import fuzz


@pytest.mark.slow
def test_schemathesis_finds_no_failure(tmp_path: Path) -> None:
    done = fuzz(tmp_path, examples=8, seed=20261125)
    assert done.returncode == 0, done.stdout[-6000:]
