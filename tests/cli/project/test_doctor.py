"""`mlp doctor` inside and outside a project."""

import json
from pathlib import Path

from platform_lib.settings import Project
from tests.conftest import free_port, run_mlp

NOWHERE = "http://127.0.0.1:9"  # keeps the check of the project's home address on this machine


def test_it_works_outside_a_project_and_lists_what_it_skipped(tmp_path: Path) -> None:
    done = run_mlp(tmp_path, "doctor", "--no-network", expect=None)
    assert done.returncode in (0, 1)
    assert "Not inside a project" in done.stdout


def test_a_machine_that_runs_these_tests_passes(project: Project) -> None:
    done = run_mlp(project, "doctor", "--no-network", "--json")
    found = {finding["area"]: finding["level"] for finding in json.loads(done.stdout)}
    assert {
        name: found[name] for name in ("Python", "git", "git identity", "uv", "extra training", "writing")
    } == dict.fromkeys(("Python", "git", "git identity", "uv", "extra training", "writing"), "ok")


def test_an_unreachable_configured_server_is_a_problem(project: Project) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = run_mlp(project, "doctor", "--json", env={"MLFLOW_TRACKING_URI": url, "HTTPS_PROXY": NOWHERE}, expect=1)
    [finding] = [each for each in json.loads(done.stdout) if each["area"] == "MLFLOW_TRACKING_URI"]
    assert finding["level"] == "problem"
    assert finding["text"].startswith(f"{url} does not respond")


def test_the_text_ends_with_the_verdict(project: Project) -> None:
    assert run_mlp(project, "doctor", "--no-network").stdout.splitlines()[-1] == "No problems found."
