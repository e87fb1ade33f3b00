"""`mlp schedule` sets, shows and removes a schedule, or refuses it in one sentence.

`tests/local_platform/test_platform.py` tests the scheduled training runs.
"""

import json
from pathlib import Path

import pytest

from platform_lib.cli.training.schedule import machine_timezone, split_words
from platform_lib.errors import UsageError
from platform_lib.settings import Project
from tests.conftest import run_mlp


@pytest.mark.parametrize(
    ("words", "cron", "overrides"),
    [
        ((), None, ()),
        (("0 3 * * 1",), "0 3 * * 1", ()),
        (("0 3 * * 1", "model=forest", "+a=1", "~b"), "0 3 * * 1", ("model=forest", "+a=1", "~b")),
        (("model=forest",), None, ("model=forest",)),
        (("@daily",), "@daily", ()),
    ],
    ids=["nothing", "cron", "cron-and-overrides", "overrides", "nickname"],
)
def test_each_form_of_schedule_is_recognised(
    words: tuple[str, ...], cron: str | None, overrides: tuple[str, ...]
) -> None:
    assert split_words(words) == (cron, overrides)


def test_a_schedule_without_quotes_is_refused_with_advice_to_quote_it() -> None:
    with pytest.raises(UsageError, match=r"^'3' is neither a schedule nor an override .* as one argument"):
        split_words(["0", "3", "README.md"])


@pytest.mark.parametrize(
    ("variable", "link", "expected"),
    [
        ("Asia/Tokyo", "usr/share/zoneinfo/Europe/Berlin", "Asia/Tokyo"),
        ("", "usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        ("", "somewhere/else", "UTC"),
    ],
    ids=["variable", "link", "unknown"],
)
def test_the_machines_time_zone_is_detected(tmp_path: Path, variable: str, link: str, expected: str) -> None:
    assert machine_timezone({"TZ": variable}, tmp_path / link) == expected


def test_without_a_schedule_show_says_how_to_set_one(project: Project) -> None:
    assert run_mlp(project, "schedule").stdout.startswith("sample-model has no schedule.")


@pytest.mark.parametrize(
    ("args", "start"),
    [
        (["0 99 * * *"], "'0 99 * * *' is not a cron expression"),
        (["0 3 * * *", "--timezone", "Mars/Base"], "there is no time zone 'Mars/Base'"),
        (["0 3 * * *", "modle=forest"], "the configuration has no key 'modle'"),
        (["--clear", "--now"], "--clear removes the schedule and takes no other arguments"),
        (["model=forest"], "--timezone and overrides need a schedule or --now"),
    ],
    ids=["cron", "timezone", "override", "clear-and-now", "override-alone"],
)
@pytest.mark.slow
def test_a_usage_error_is_one_sentence_and_stores_nothing(project: Project, args: list[str], start: str) -> None:
    done = run_mlp(project, "schedule", *args, expect=2)
    assert done.stderr.splitlines()[-1].startswith(f"error: {start}")
    assert not (project.state_dir / "schedule.json").exists()


@pytest.mark.slow
def test_a_schedule_set_while_the_platform_is_down_is_stored_with_a_note(project: Project) -> None:
    done = run_mlp(project, "schedule", "30 3 * * *", "--timezone", "Europe/Berlin", "seed=1")
    assert "will train at '30 3 * * *' (Europe/Berlin) with seed=1. Next:" in done.stdout
    assert "The platform is not running" in done.stderr
    shown = json.loads(run_mlp(project, "schedule", "--json").stdout)
    assert (shown["cron"], shown["timezone"], shown["overrides"]) == ("30 3 * * *", "Europe/Berlin", ["seed=1"])
    assert [time[11:16] for time in shown["next"]] == ["03:30"] * 3
    assert run_mlp(project, "schedule", "--clear").stdout == "Removed the schedule.\n"
    assert run_mlp(project, "schedule", "--clear").stdout == "There was no schedule.\n"


def test_now_without_the_platform_says_how_to_start_it(project: Project) -> None:
    done = run_mlp(project, "schedule", "--now", expect=3)
    assert done.stderr == "error: --now needs the local platform: start it with `mlp up`, then try again.\n"
