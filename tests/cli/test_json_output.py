"""Every command that lists or reports has --json, which prints one document that scripts can rely on."""

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from platform_lib.cli import COMMANDS, mlp
from platform_lib.cli.training.sweep import time_left
from platform_lib.settings import Project
from tests.conftest import Called, copy_of

WITHOUT = {
    "ci comment",
    "ci kubeconfig",
    "ci token",  # what kubectl reads, always JSON
    "ci train",  # a page for people; `build/ci` has the files
    "completion",  # a script
    "data pull",
    "data push",
    "deploy",
    "down",
    "image",
    "keys new",  # the key and nothing else
    "keys revoke",
    "log compact",
    "log labels",
    "log show",  # JSON lines always
    "models trust",
    "monitor receive",
    "open",
    "platform upgrade-crds",
    "report",  # a page; `mlp models show --json` has its data
    "serve",
    "tunnel",
    "update",
}
"""Commands that change or run something, and print what happened in a line."""


def leaves() -> dict[str, click.Command]:
    """All commands that do something, by name."""
    found: dict[str, click.Command] = {}

    def collect(name: str, command: click.Command) -> None:
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                collect(f"{name} {child}", command.get_command(context, child) or command)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            found[name] = command

    context = click.Context(mlp)
    for name in COMMANDS:
        collect(name, mlp.get_command(context, name) or mlp)  # type: ignore[attr-defined]
    return found


def test_commands_without_json_are_listed_here() -> None:
    lacking = {
        name
        for name, command in leaves().items()
        if not any("--json" in parameter.opts for parameter in command.params)
    }

    assert lacking == WITHOUT


CallMlp = Callable[..., Called]


def test_tables_are_imported_checked_and_listed(project: Project, call_mlp: CallMlp, tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text("id,age,left\n" + "".join(f"p{n},{20 + n},{'yes' if n % 3 else 'no'}\n" for n in range(30)))

    words = ("data", "import", str(table), "--target", "left", "--id", "id", "--json")
    planned = json.loads(call_mlp(project, *words, "--dry-run").out)
    made = json.loads(call_mlp(project, *words).out)
    checked = json.loads(call_mlp(project, "data", "check", "--json").out)
    listed = json.loads(call_mlp(project, "data", "list", "--json").out)

    assert (planned["written"], made["written"]) == (False, True)
    assert (made["table"], made["rows"]) == ("people", 30)
    assert [(column["name"], column["role"]) for column in made["columns"]] == [
        ("id", "id"),
        ("age", "feature"),
        ("left", "target"),
    ]
    assert checked == {"table": "people", "rows": 30, "fits": True, "violations": []}
    assert next((each["name"], each["selected"], each["state"]) for each in listed) == (
        "people",
        True,
        "tracked by DVC",
    )


def test_a_table_that_breaks_its_contract_exits_with_1(project: Project, call_mlp: CallMlp) -> None:
    contract = project.conf_dir / "data" / "sample.yaml"
    text = contract.read_text(encoding="utf-8")
    contract.write_text(text.replace("max: 2009", "max: 2008"), encoding="utf-8")
    assert contract.read_text(encoding="utf-8") != text

    done = call_mlp(project, "data", "check", "--json")

    violation = json.loads(done.out)["violations"][0]
    assert (done.code, violation["column"]) == (1, "year")


def test_predictions_and_keys_report(trained: Project, call_mlp: CallMlp, tmp_path: Path) -> None:
    project = copy_of(trained, tmp_path / "project")
    out, keys = tmp_path / "out.csv", tmp_path / "keys.yaml"

    made = json.loads(call_mlp(project, "predict", "data/sample.csv", "--out", str(out), "--json").out)
    call_mlp(project, "keys", "new", "shop", "--file", str(keys))
    listed = json.loads(call_mlp(project, "keys", "list", "--file", str(keys), "--json").out)

    assert (made["version"], made["out"], made["columns"][0]) == ("1", str(out), "prediction")
    assert made["rows"] == len(out.read_text(encoding="utf-8").splitlines()) - 1
    assert [(key["name"], key["scopes"]) for key in listed] == [("shop", ["predict"])]


def test_a_search_reports_its_trials(project: Project, call_mlp: CallMlp) -> None:
    done = call_mlp(project, "sweep", "model=logistic", "--trials", "2", "--jobs", "1", "--json")

    found = json.loads(done.out)
    assert [trial["number"] for trial in found["trials"]] == [1, 2]
    assert found["best"] in [trial["overrides"] for trial in found["trials"]]
    assert "1/2, about " in done.err
    assert "2/2, done: trial" in done.err


@pytest.mark.parametrize(
    ("elapsed_s", "done", "expected"),
    [(30, 3, "about 70 s left"), (300, 5, "about 5 min left"), (3600, 2, "about 4.0 h left"), (9, 10, "done")],
)
def test_the_time_left_follows_from_the_trials_so_far(elapsed_s: float, done: int, expected: str) -> None:
    assert time_left(elapsed_s, done, 10) == expected


def test_a_search_does_not_report_a_training(project: Project, call_mlp: CallMlp) -> None:
    done = call_mlp(project, "sweep", "--json", "--train")

    assert (done.code, "--json reports a search" in done.err) == (2, True)
