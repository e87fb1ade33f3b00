"""The real platform of a real project, started once for all tests that need it."""

from collections.abc import Iterator

import httpx
import pytest

from platform_lib.local_login import USER, password, service_password
from platform_lib.local_platform import processes
from platform_lib.settings import Project, local_service_url
from tests.conftest import copy_of, run_mlp

SHARES_THE_PLATFORM = [pytest.mark.slow, pytest.mark.xdist_group("platform")]
"""Marks of the tests, so that one worker runs them all."""


@pytest.fixture(scope="session")
def platform(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project that was trained without servers, with its platform running."""
    project = copy_of(trained, tmp_path_factory.mktemp("platform") / "project")
    try:
        done = run_mlp(project, "up", "--auto-ports", timeout_s=400)
        assert "The platform is up" in done.stderr
        yield project
    finally:
        run_mlp(project, "down", expect=None)
        processes.stop(processes.marked(project.root))


def address(project: Project, service: str) -> str:
    found = local_service_url(project, service)
    assert found is not None
    return found


def login(project: Project, service: str) -> tuple[str, str]:
    """User and password of MLflow or Prefect."""
    found = password(project)
    assert found is not None
    return USER, service_password(found, service)


def client(project: Project, service: str) -> httpx.Client:
    """A client that has logged in."""
    return httpx.Client(base_url=address(project, service), auth=login(project, service), timeout=30)
