"""schemathesis against the running server, all checks: what fits the description is answered, what does not is refused, nothing is a 500.

Few examples, for time; `python -m benchmarks.fuzz_api --examples 200` is the long one.
"""

from pathlib import Path

import pytest

from benchmarks.fuzz_api import fuzz


@pytest.mark.slow
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    done = fuzz(tmp_path, examples=8, seed=20261125)
    assert done.returncode == 0, done.stdout[-6000:]
