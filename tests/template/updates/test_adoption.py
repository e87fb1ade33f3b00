"""docs/adopting.md: an existing repository takes the template, loses nothing, and updates."""

import re
import subprocess
from pathlib import Path

import copier
import pytest

from tests.conftest import REPOSITORY, commit_all, git
from tests.template.updates.conftest import Update
from tests.template.updates.edits import write
from tests.template.updates.history import HOME, LATEST
from tests.template.updates.oracle import assert_updated, content, seeds

THEIRS = {
    "pyproject.toml": '[project]\nname = "churn"\nversion = "3.1"\ndependencies = ["scikit-learn", "attrs"]\n',
    "README.md": "# Churn\n\nWho leaves, and when.\n",
    ".gitignore": "*.xlsx\n/reports/\n",
    "Makefile": "report:\n\techo report\n",
    "Dockerfile": "FROM python:3.12\n",
    "churn/__init__.py": "",
    "churn/estimators.py": "from sklearn.linear_model import LogisticRegression as ChurnModel\n",
    "conf/train.yaml": "rate: 3\n",
    "data/customers.csv": "age,churned\n31,no\n",
    "notebooks/first.ipynb": "{}\n",
    "tests/conftest.py": "RATE = 3\n",
    "tests/test_rate.py": "def test_rate():\n    pass\n",
    ".github/workflows/ci.yml": "on: push\njobs: {}\n",
}


def steps() -> list[str]:
    page = (REPOSITORY / "docs" / "adopting.md").read_text(encoding="utf-8")
    return re.findall(r"^```sh\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)


def run(step: str, folder: Path) -> None:
    done = subprocess.run(["bash", "-ec", step], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("history")
def test_an_existing_repository_takes_the_template_and_its_updates(update: Update, tmp_path: Path) -> None:
    folder = tmp_path / "churn"
    for name, text in THEIRS.items():
        write(folder, name, text)
    git(folder, "init", "-q", "-b", "trunk")
    commit_all(folder, "years of work")
    move, bring_back, _ = steps()

    run(move, folder)
    answers = {"project_name": "churn-model", "data_source": "own"}
    copier.run_copy(
        HOME, folder, data=answers, defaults=True, quiet=True, vcs_ref=LATEST, skip_if_exists=["*"], overwrite=True
    )
    seeds_of_theirs = ("churn/", "data/", "notebooks/", "tests/")
    for name, text in THEIRS.items():
        kept = folder / (name if name.startswith(seeds_of_theirs) else f"{name}.yours")
        assert kept.read_text(encoding="utf-8") == text

    run(bring_back, folder)
    commit_all(folder, "adopt")
    adopted = content(folder)
    for name, text in {"README.md": THEIRS["README.md"], ".gitignore": THEIRS[".gitignore"]}.items():
        assert adopted[name].decode().endswith(text)
    assert adopted["Makefile.user"].decode() == THEIRS["Makefile"]
    assert (
        subprocess.run(["make", "-n", "report"], cwd=folder, capture_output=True, text=True).stdout == "echo report\n"
    )

    assert update(folder).conflicts == []
    assert_updated(folder)
    updated = content(folder)
    assert seeds(updated) == seeds(adopted)
    for name in (
        ".github/workflows/own.yml",
        "conf/train.yaml.yours",
        "churn/estimators.py",
        "Makefile.user",
        "pyproject.toml.yours",
    ):
        assert updated[name] == adopted[name]
    assert updated["README.md"].decode().endswith(THEIRS["README.md"])
