"""The shipped samples equal what `mlp data import` would write for them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from platform_lib.data.contract import dump_contract
from platform_lib.data.dataset import load_table
from platform_lib.data.imports.plan import ImportRequest, plan_import
from platform_lib.data.imports.staging import HEADER
from platform_lib.settings import Project


@pytest.mark.parametrize(
    ("answers", "target", "shape"),
    [
        ({"task": "classification"}, "species", (344, 8)),
        ({"task": "regression"}, "miles_per_gallon", (398, 8)),
        ({"data_source": "iris"}, "species", (150, 5)),
    ],
    ids=["penguins", "cars", "iris"],
)
def test_a_shipped_contract_equals_the_imported_one(
    tmp_path: Path, generate: Callable[..., Project], answers: dict[str, str], target: str, shape: tuple[int, int]
) -> None:
    project = generate(tmp_path / "project", **answers)
    file = Path(shutil.copy(project.data_dir / "sample.csv", tmp_path / "sample.csv"))

    done = plan_import(
        Project(root=tmp_path, name="x", package="x", task=project.task), ImportRequest(file=file, target=target)
    )

    expected = HEADER.format(path="data/sample.csv") + dump_contract(
        msgspec.structs.replace(done.contract, path="data/sample.csv")
    )
    assert (project.conf_dir / "data" / "sample.yaml").read_text(encoding="utf-8") == expected
    assert load_table(project=project).shape == shape
