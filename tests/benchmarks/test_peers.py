"""The comparison with other servers: its report, its pins, and its check of predictions.

Only the plain FastAPI server is started.
"""

import dataclasses
import os
import re
import sys
from pathlib import Path

import pytest
from sklearn.dummy import DummyClassifier

from benchmarks.serving.models import iris, mixed
from benchmarks.serving.peers import __main__ as command
from benchmarks.serving.peers import environments, report
from benchmarks.serving.peers.checking import check
from benchmarks.serving.peers.measuring import Plan, measure_peer, peer_target
from benchmarks.serving.peers.peer import Start
from benchmarks.serving.peers.plot import draw
from benchmarks.serving.peers.processes import family
from benchmarks.serving.peers.results import About, Load, Measured, Run, combine, read, save
from benchmarks.serving.peers.servers import PEERS


def load(per_second: float, p99_ms: float, connections: int = 64) -> Load:
    return Load(
        rows=1,
        connections=connections,
        per_second=per_second,
        p50_ms=p99_ms / 2,
        p99_ms=p99_ms,
        cpu_us=1e6 / per_second,
    )


def measured(server: str, per_second: float, p99_ms: float, memory_mib: float = 200.0, wrong: int = 0) -> Measured:
    loads = (load(per_second, p99_ms),)
    return Measured(
        server=server,
        model="iris",
        start_s=2.0,
        memory_mib=memory_mib,
        memory_after_mib=memory_mib,
        compared=1000,
        wrong=wrong,
        example="a row" if wrong else "",
        loads=loads,
    )


def run(*entries: Measured) -> Run:
    servers = tuple(
        About(
            name=entry.server,
            title=entry.server.title(),
            distribution=entry.server,
            page="a page",
            configured="so",
            versions={entry.server: "1.2"},
        )
        for entry in entries
    )
    return Run(
        date="2026-11-25",
        machine="2 cores",
        python="3.11",
        load="wrk",
        seconds=1,
        rounds=1,
        busy=0.0,
        pinned=True,
        servers=servers,
        measured=entries,
    )


def test_a_saved_run_is_read_back_unchanged(tmp_path: Path) -> None:
    taken = run(measured("ours", 10_000, 5), measured("mlserver", 1_000, 50))
    save(taken, tmp_path / "run.json")
    assert read(tmp_path / "run.json") == taken


def test_our_server_is_compared_with_the_best_peer_that_predicts_correctly() -> None:
    taken = run(measured("ours", 10_000, 5), measured("mlserver", 1_000, 50), measured("wrong", 90_000, 1, wrong=3))
    assert report.summary(taken).splitlines()[2] == "| iris | 1x64 | 10,000 | Mlserver | 1,000 | 10.0 | 5.00 | 50.00 |"
    assert "3 / 1,000" in report.table(taken)


def test_only_measures_in_which_a_peer_is_better_are_named() -> None:
    taken = run(
        measured("ours", 10_000, 5, memory_mib=250),
        measured("mlserver", 1_000, 3),
        measured("other", 12_000, 50, memory_mib=300),
    )
    assert report.losses(taken).splitlines()[2:] == [
        "- iris, 1x64, requests/s: Other 12,000; ours 10,000.",
        "- iris, 1x64, p50 ms: Mlserver 1.5; ours 2.5.",
        "- iris, 1x64, p99 ms: Mlserver 3.0; ours 5.0.",
        "- iris, 1x64, CPU µs per request: Other 83.3; ours 100.",
        "- iris, memory MiB after the first response: Mlserver 200; ours 250.",
        "- iris, memory MiB after the loads: Mlserver 200; ours 250.",
    ]


def test_a_server_that_could_not_be_measured_is_listed_with_the_reason() -> None:
    taken = run(measured("ours", 10_000, 5), Measured(server="mlserver", model="iris", trouble="it ended | early"))
    assert "| iris | Mlserver |  |  |  |  |  |  |  | not measured: it ended / early |" in report.table(taken)


def test_rounds_become_medians_and_a_failed_round_is_not_hidden() -> None:
    rounds = [measured("ours", rate, p99_ms) for rate, p99_ms in ((100, 9.0), (300, 1.0), (200, 2.0))]
    together = combine(rounds)
    assert (together.loads[0].per_second, together.loads[0].p99_ms, together.compared) == (200, 2.0, 3000)
    assert combine([*rounds, Measured(server="ours", model="iris", trouble="it ended")]).trouble == "it ended"


def test_the_section_replaces_the_text_between_its_markers() -> None:
    page = f"before\n{command.BEGIN}old\n{command.END}after\n"
    assert command.with_section(page, "new\n") == f"before\n{command.BEGIN}\nnew\n\n{command.END}after\n"
    with pytest.raises(ValueError, match="add them where the section belongs"):
        command.with_section("no marks", "new\n")


def test_the_page_shows_the_saved_run() -> None:
    page = command.PAGE.read_text(encoding="utf-8")
    assert command.with_section(page, report.section(read(command.SAVED))) == page


def test_each_chart_names_every_measured_server(tmp_path: Path) -> None:
    draw(run(measured("ours", 10_000, 5), measured("mlserver", 1_000, 50)), tmp_path / "run.svg")
    picture = (tmp_path / "run.svg").read_text(encoding="utf-8")
    assert {"Ours", "Mlserver", "10,000", "1,000"} <= set(re.findall(r">([^<>]+)</text>", picture))


def test_every_server_has_exact_pins_and_the_same_scikit_learn_version() -> None:
    shared = {}
    for name in [*PEERS, environments.OURS]:
        lines = (environments.REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        assert [
            line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,-]+\])?==[^\s;]+( ;.*)?", line)
        ] == [], name
        shared[name] = {line for line in lines if line.split("==")[0] in environments.SHARED}
    assert len(shared["ours"]) == len(environments.SHARED)
    assert {name for name, pins in shared.items() if pins != shared["ours"]} == set()


def test_a_server_that_cannot_be_installed_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mlserver.txt").write_text(
        "mlserver @ file:///nowhere/mlserver-1.0-py3-none-any.whl\n", encoding="utf-8"
    )
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    taken = command.measure(["mlserver"], ["iris"], seconds=1, rounds=1, file=None)
    assert re.search(
        r"\| iris \| MLServer, .* not measured: its environment could not be created: .*nowhere", report.table(taken)
    )


@pytest.mark.slow
def test_a_peer_serves_is_checked_and_leaves_no_process_or_files() -> None:
    model = mixed()
    with peer_target(
        PEERS["naive_fastapi"], model, Path(sys.executable).parent, core=min(os.sched_getaffinity(0))
    ) as target:
        right = check(target.ask, model)
        constant = DummyClassifier(strategy="constant", constant="no").fit(
            model.rows, ["yes", "no"] * (len(model.rows) // 2)
        )
        wrong = check(target.ask, dataclasses.replace(model, pipeline=constant))
        members = family(target.process)
    assert (right.compared, right.wrong, right.example) == (721, 0, "")
    assert 0 < wrong.wrong < 721
    assert "the pipeline says no" in wrong.example
    assert [member for member in members if member.is_running()] == []


def test_a_server_that_exits_is_reported_with_its_last_output() -> None:
    says = [sys.executable, "-c", "import sys; sys.exit('no such model')"]
    dead = dataclasses.replace(PEERS["naive_fastapi"], start=lambda _: Start(says, "/"))
    found = measure_peer(dead, iris(), Path(sys.executable).parent, Plan(1, None, None))
    assert found.trouble == "it ended before it answered: no such model"
