"""Measure our model server and its peers in one run, and print one table.

    python -m benchmarks.serving.peers             # all servers, both models; the first run creates the environments
    python -m benchmarks.serving.peers --only mlserver --only ours --seconds 1 --rounds 1
    python -m benchmarks.serving.peers --docs      # also write docs/data/peers.json, the plot and docs/performance.md
    python -m benchmarks.serving.peers --from docs/data/peers.json --docs      # write them from a saved run
    python -m benchmarks.serving.peers --lock      # pin the newest versions of the peers

Each round starts every server in turn, so that other work on the machine affects all alike. Figures are medians over
the rounds.
"""

import argparse
import os
import platform
import shutil
import signal
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.serving.models import BenchmarkModel
from benchmarks.serving.own import LOAD_CORE, MODELS, SERVER_CORE
from benchmarks.serving.peers import environments, report
from benchmarks.serving.peers.measuring import Plan, measure_ours, measure_peer
from benchmarks.serving.peers.plot import draw
from benchmarks.serving.peers.results import OURS, About, Measured, Run, Scaling, combine, read, save
from benchmarks.serving.peers.scaling import two_workers
from benchmarks.serving.peers.servers import PEERS

DOCS = environments.REPOSITORY / "docs"
SAVED, PICTURE, PAGE = DOCS / "data" / "peers.json", DOCS / "images" / "peers.svg", DOCS / "performance.md"
BEGIN, END = "<!-- written by `python -m benchmarks.serving.peers --docs` -->\n", "<!-- end of what is written -->\n"


def main() -> None:
    """Measure or read a run, then print it and write what the options ask for."""
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that the running server is stopped too
    if given.lock:
        environments.lock(list(PEERS.values()))
        return
    file = given.json or (SAVED if given.docs else None)
    run = (
        read(given.saved)
        if given.saved
        else measure(given.only or [OURS, *PEERS], given.model or list(MODELS), given.seconds, given.rounds, file)
    )
    if file and given.saved != file:
        save(run, file)
    print(report.section(run))
    if picture := given.plot or (PICTURE if given.docs else None):
        draw(run, picture)
    if given.docs:
        PAGE.write_text(with_section(PAGE.read_text(encoding="utf-8"), report.section(run)), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[OURS, *PEERS], help="only this server; can be repeated")
    parser.add_argument("--model", action="append", choices=list(MODELS), help="only this model; can be repeated")
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of each load")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; each starts every server")
    parser.add_argument("--json", type=Path, help="save the run in this file after each round")
    parser.add_argument("--from", type=Path, dest="saved", help="show this saved run instead of measuring one")
    parser.add_argument("--plot", type=Path, help="draw the run into this SVG file")
    parser.add_argument(
        "--docs", action="store_true", help="write the data, the plot and the section of docs/performance.md"
    )
    parser.add_argument("--lock", action="store_true", help="only resolve and pin the requirements again")
    return parser.parse_args()


def measure(servers: list[str], models: list[str], seconds: float, rounds: int, file: Path | None) -> Run:
    """Run all rounds; save after each, so that an interrupted run keeps what it has."""
    busy = os.getloadavg()[0]
    programs, missing = _installed(servers)
    fitted = {name: MODELS[name]() for name in models}
    two = (os.cpu_count() or 1) > 1 and hasattr(os, "sched_setaffinity")
    plan = Plan(seconds, *((SERVER_CORE, LOAD_CORE) if two else (None, None)))
    taken: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    abouts = tuple(_about(name, programs.get(name)) for name in servers)

    def so_far(done: int, scaling: tuple[Scaling, ...] = ()) -> Run:
        return Run(
            date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            machine=_machine(),
            python=platform.python_version(),
            load="wrk, one thread" if shutil.which("wrk") else "the small client of `benchmarks.serving.load`",
            seconds=seconds,
            rounds=done,
            busy=round(busy, 2),
            pinned=two,
            servers=abouts,
            measured=tuple(combine(taken[server, model]) for model in models for server in servers),
            scaling=scaling,
        )

    for number in range(1, rounds + 1):
        for model in models:
            for server in servers:
                entry = _measure(server, fitted[model], programs, missing, plan)
                taken[server, model].append(entry)
                loads = ", ".join(f"{load.name} {load.per_second:,.0f}/s" for load in entry.loads)
                _say(f"round {number}, {model}, {server}: {entry.trouble or loads}")
        if file:
            save(so_far(number), file)
    scaling = (
        (two_workers(fitted["mixed"], programs[OURS], seconds),)
        if two and OURS in programs and "mixed" in fitted
        else ()
    )
    return so_far(rounds, scaling)


def _measure(
    server: str, model: BenchmarkModel, programs: dict[str, Path], missing: dict[str, str], plan: Plan
) -> Measured:
    if server in missing:
        return Measured(
            server=server, model=model.name, trouble=f"its environment could not be created: {missing[server]}"
        )
    return (
        measure_ours(model, programs[server], plan)
        if server == OURS
        else measure_peer(PEERS[server], model, programs[server], plan)
    )


def _installed(servers: list[str]) -> tuple[dict[str, Path], dict[str, str]]:
    programs: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for name in servers:
        try:
            programs[name] = environments.programs(name)
        except environments.NotInstalled as err:
            missing[name] = str(err)
    return programs, missing


def _about(name: str, programs: Path | None) -> About:
    distribution = PEERS[name].distribution if name in PEERS else "platform-lib"
    versions = environments.versions(distribution, programs) if programs else {}
    if name in PEERS:
        peer = PEERS[name]
        return About(
            name=name,
            title=peer.title,
            distribution=distribution,
            page=peer.page,
            configured=peer.configured,
            versions=versions,
        )
    configured = (
        "`mlp serve` with `--keys`, `--metrics-port` and `--log`, one worker; one row as a `/predict` body, 100 and "
        "1,000 rows as the same `/v2` tensors that MLServer receives; only the extra `serving` is installed"
    )
    return About(
        name=name,
        title="ours",
        distribution=distribution,
        page="docs/serving.md",
        configured=configured,
        versions=versions,
    )


def _machine() -> str:
    processor = platform.processor() or platform.machine()
    if (told := Path("/proc/cpuinfo")).exists():
        names = [
            line.split(":", 1)[1].strip() for line in told.read_text().splitlines() if line.startswith("model name")
        ]
        processor = names[0] if names else processor
    return f"{os.cpu_count()} cores of {processor}, {platform.system()}"


def with_section(page: str, section: str) -> str:
    """Replace the part of a page between its two marks.

    Raises:
        ValueError: The page does not have the marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(
            f"the page lacks one of the lines {BEGIN.strip()!r} and {END.strip()!r}: add them where the section "
            "belongs."
        )
    return f"{before}{BEGIN}\n{section}\n{END}{after}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
