"""Fixtures that the tests share. Yours to change."""

import pandas as pd
import pytest
from platform_lib.project import NotFound, Project, TrainConfig, compose, find_project, load_table, selected_name


@pytest.fixture(scope="session")
def project() -> Project:
    return find_project()


@pytest.fixture(scope="session")
def selected(project: Project) -> str:
    """The name of the table that conf/train.yaml selects; tests that need a table are skipped until there is one."""
    name = selected_name(project)
    if name is None:
        pytest.skip("no table yet: mlp data import FILE --target COLUMN")
    return name


@pytest.fixture(scope="session")
def config(project: Project, selected: str) -> TrainConfig:
    """The configuration of a plain `mlp train`."""
    return compose(project, []).config


@pytest.fixture(scope="session")
def table(project: Project, selected: str) -> pd.DataFrame:
    """The selected table, checked against its contract and typed."""
    try:
        return load_table(selected, project)
    except NotFound as err:
        pytest.skip(str(err))
