"""The generated project's own tests and type check, in the shared environment.

Covers the answers that `test_package_managers` does not.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_diabetes, load_wine

from platform_lib.settings import Project
from tests.conftest import commit_all, run_mlp

pytestmark = pytest.mark.slow


def run_tests(project: Project, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", *args],
        cwd=project.root,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.answers(data_source="iris", repository_owner="my-team")
def test_they_pass_with_the_iris_sample(project: Project) -> None:
    assert "passed" in run_tests(project)


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(task, marks=pytest.mark.answers(data_source="own", task=task, package_manager="pdm"))
        for task in ("classification", "regression")
    ],
)
def test_without_a_table_they_skip_with_a_reason_and_then_test_the_imported_one(
    project: Project, tmp_path: Path, task: str
) -> None:
    waiting = run_tests(project)
    assert "no table yet: mlp data import FILE --target COLUMN" in waiting
    assert " failed" not in waiting

    table = (load_wine if task == "classification" else load_diabetes)(as_frame=True).frame
    if task == "classification":
        table["target"] = table["target"].map({0: "low", 1: "middle", 2: "high"})
    table.insert(0, "bottle", [f"b{number}" for number in range(len(table))])
    table.to_csv(tmp_path / "own.csv", index=False)
    run_mlp(project, "data", "import", str(tmp_path / "own.csv"), "--target", "target", "--id", "bottle")
    commit_all(project.root, "data: own")
    judged = run_tests(project)
    assert "no table yet" not in judged
    assert "passed" in judged


@pytest.mark.answers(task="regression", dvc_remote="s3://bucket/folder")
def test_the_project_passes_the_type_check(project: Project) -> None:
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=project.root, capture_output=True, text=True, env=None)
    assert done.returncode == 0, done.stdout


def test_they_fail_if_the_model_predicts_unknown_classes(project: Project) -> None:
    model = project.root / "src" / project.package / "model.py"
    text = model.read_text(encoding="utf-8")
    broken = text.replace(
        "ESTIMATORS = {",
        "class Broken(LogisticRegression):\n    def predict(self, X):\n        return ['other'] * len(X)\n\n\nESTIMATORS = {",
    )
    model.write_text(broken.replace('"logistic": LogisticRegression', '"logistic": Broken'), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/test_model.py"], cwd=project.root, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "test_predictions_are_known_classes_or_finite_numbers" in done.stdout
