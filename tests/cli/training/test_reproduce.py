"""`mlp reproduce` prints whether each metric was reproduced.

`training/test_reproduce.py` tests the reproduction itself.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from platform_lib.settings import Project
from tests.conftest import Called, copy_of


@pytest.mark.slow
def test_the_table_says_same_and_the_command_exits_0(trained: Project, call_mlp: Callable[..., Called]) -> None:
    done = call_mlp(trained, "reproduce")

    assert done.code == 0
    assert done.out.endswith("\nsample-model version 1 is reproduced (relative tolerance 1e-06).\n")
    assert json.loads(call_mlp(trained, "reproduce", "--json", "--tolerance", "0").out)["matches"]


def test_a_missing_commit_exits_2(trained: Project, tmp_path: Path, call_mlp: Callable[..., Called]) -> None:
    from platform_lib.registry import open_registry
    from platform_lib.settings import Settings

    project = copy_of(trained, tmp_path / "project")
    open_registry(project, Settings()).client.set_model_version_tag("sample-model", "1", "mlp.git_commit", "0" * 40)

    done = call_mlp(project, "reproduce")

    assert (done.code, "does not have the recorded commit 000000000000" in done.err) == (2, True)
