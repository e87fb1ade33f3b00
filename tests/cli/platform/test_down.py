"""`mlp down` when nothing runs."""

from platform_lib.settings import Project
from tests.conftest import run_mlp


def test_down_when_nothing_runs_succeeds_and_leaves_no_files(project: Project) -> None:
    before = sorted(project.root.iterdir())
    assert run_mlp(project, "down").stdout == "Nothing was running.\n"
    assert sorted(project.root.iterdir()) == before
