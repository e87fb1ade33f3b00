"""Every choice in conf/ composes. Yours to change."""

import json

import pytest
from platform_lib.project import Project, compose, find_project

CHOICES = sorted(f"{file.parent.name}={file.stem}" for file in find_project().conf_dir.glob("*/*.yaml"))
# Values that a choice leaves for the command line to set.
OPEN = {"split=group": "split.column={column}", "split=time": "split.cutoff=2026-01-01"}


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes(project: Project, selected: str, choice: str) -> None:
    group, name = choice.split("=")
    plain = compose(project, [])
    if choice == "split=time" and "datetime" not in {column.type for column in plain.config.data.columns.values()}:
        pytest.skip("the table has no datetime column to split by")
    column = json.dumps(plain.config.data.features[0], ensure_ascii=False)  # quoted, since it may have spaces or signs
    settings = [OPEN[choice].format(column=column)] if choice in OPEN else []
    assert compose(project, [choice, *settings]).choices[group] == name
