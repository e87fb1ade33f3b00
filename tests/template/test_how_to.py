"""The commands and programs of docs/how-to/ and the tutorial run in a generated project as they are printed."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pandas as pd
import pytest

from platform_lib.settings import Project
from scripts.customers import customers, write_customers
from tests.conftest import REPOSITORY, copy_of, free_port, server

PAGES = REPOSITORY / "docs" / "how-to"
pytestmark = pytest.mark.slow


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of each block that is meant to run, in order."""
    text = (PAGES / page).read_text(encoding="utf-8")
    return re.findall(r"^```(sh|python)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def run_page(page: str, project: Project, **env: str) -> str:
    """Run a page's blocks, which continue one another, and return what they print."""
    found = blocks(page)
    assert found
    return run_blocks(found, project, page, **env)


def run_blocks(found: list[tuple[str, str]], project: Project, page: str, **env: str) -> str:
    """Run blocks of a page, and return what they print."""
    bin_folder = Path(sys.executable).parent
    printed = ""
    for language, text in found:
        command = ["bash", "-ec", text] if language == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(
            command,
            cwd=project.root,
            env={**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{page}:\n{text}\n{done.stdout}"
        printed += done.stdout
    return printed


def test_every_page_is_run_by_a_test_below() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [page.name for page in PAGES.glob("*.md") if f'"{page.name}"' not in source] == []


def test_balanced_training_is_compared_with_plain_training(trained: Project, tmp_path: Path) -> None:
    printed = run_page("imbalanced-classes.md", copy_of(trained, tmp_path / "project"))
    assert "class_weight" in printed


def test_a_notebook_finds_table_model_and_mistakes(trained: Project) -> None:
    printed = run_page("notebooks.md", trained)
    assert re.search(r"\d+ of 344 rows are predicted wrong", printed)


def test_tables_come_from_a_database_and_from_several_files(generate: Callable[..., Project], tmp_path: Path) -> None:
    project = generate(tmp_path / "project", data_source="own")
    rows = pd.DataFrame({"id": range(300), "age": [20 + i % 50 for i in range(300)], "plan": ["a", "b", "c"] * 100})
    rows["cancelled"] = ["yes" if i % 7 < 3 else "no" for i in range(300)]
    with sqlite3.connect(project.root / "warehouse.db") as connection:
        rows.to_sql("customers", connection, index=False)
    (project.root / "exports").mkdir()
    for part in range(2):
        more = rows.assign(id=rows["id"] + 300 * (part + 1))
        more.to_csv(project.root / "exports" / f"{part}.csv", index=False)

    run_page("data-from-elsewhere.md", project)

    assert len(pd.read_parquet(project.root / "data" / "customers.parquet")) == 900


def test_new_rows_are_appended_trained_on_and_rolled_back(trained: Project, tmp_path: Path) -> None:
    project = copy_of(trained, tmp_path / "project")
    sample = pd.read_csv(project.root / "data" / "sample.csv")
    sample.to_csv(project.root / "penguins.csv", index=False)
    mlp = [sys.executable, "-m", "platform_lib.cli"]
    subprocess.run([*mlp, "data", "import", "penguins.csv", "--target", "species"], cwd=project.root, check=True)
    more = sample.sample(30, random_state=1).assign(body_mass_g=lambda rows: rows["body_mass_g"] + 1)
    more.to_parquet(project.root / "new-rows.parquet", index=False)

    printed = run_page("retrain-every-week.md", project)

    assert len(pd.read_parquet(project.root / "data" / "penguins.parquet")) == 374
    assert "sample-model version 1 is the champion again" in printed


def test_an_application_gets_a_prediction_with_a_key(
    trained: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_of(trained, tmp_path / "project")
    monkeypatch.chdir(project.root)
    shell, program = blocks("call-from-an-application.md")
    done = subprocess.run(
        ["bash", "-ec", shell[1]],
        cwd=project.root,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "platform_lib.cli", "serve", "--port", str(port)]
    with server(
        [*command, "--keys", str(project.root / "deploy" / "keys.yaml")],
        f"{address}/readyz",
        tmp_path / "log",
    ):
        answer = subprocess.run(
            [sys.executable, "-c", program[1]],
            env={**os.environ, "MODEL_URL": address, "MLP_API_KEY": done.stdout.split()[-1]},
            capture_output=True,
            text=True,
        )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split()[0] in ("Adelie", "Gentoo", "Chinstrap")


def test_the_tutorial_leads_from_a_csv_to_a_served_and_scheduled_model(
    generate: Callable[..., Project], tmp_path: Path
) -> None:
    project = generate(tmp_path / "project", data_source="own")
    write_customers(tmp_path / "customers.csv", customers())
    found = blocks("../tutorial.md")
    [call] = [place for place, (_, text) in enumerate(found) if text.startswith("curl")]

    printed = run_blocks(found[:call], project, "tutorial.md")
    assert "Gate: passed" in printed
    assert "customer_id" in printed.splitlines()[-3]
    address = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "platform_lib.cli", "serve", "--port", address.rpartition(":")[2]]
    with chdir(project.root), server(command, f"{address}/readyz", tmp_path / "log"):
        language, text = found[call]
        answer = run_blocks([(language, text.replace("http://127.0.0.1:8000", address))], project, "tutorial.md")
    assert json.loads(answer)["predictions"] == ["yes"]
    scheduled = run_blocks(found[call + 1 :], project, "tutorial.md")
    assert "0 3 * * 1" in scheduled


def test_a_colleague_pulls_the_table_that_was_pushed(generate: Callable[..., Project], tmp_path: Path) -> None:
    project = generate(tmp_path / "project")
    mlp = [sys.executable, "-m", "platform_lib.cli"]
    shutil.copy(project.root / "data" / "sample.csv", project.root / "penguins.csv")
    subprocess.run([*mlp, "data", "import", "penguins.csv", "--target", "species"], cwd=project.root, check=True)

    run_page("share-with-colleagues.md", project)

    colleague = tmp_path / "colleague"
    subprocess.run(["git", "clone", "-q", str(project.root), str(colleague)], check=True)
    subprocess.run([*mlp, "data", "pull"], cwd=colleague, check=True)
    assert (colleague / "data" / "penguins.parquet").is_file()
