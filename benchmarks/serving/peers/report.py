"""Render a run as Markdown: the figures, where our server is slower, and each configuration.

No figure is typed by hand.
"""

from collections.abc import Iterable

from benchmarks.serving.peers.results import OURS, About, Load, Measured, Run

CLOSED_LOOP = (
    "The load is a closed loop: a connection sends its next request only after the previous response. So a slow "
    "server receives fewer requests, its p99 leaves out the requests that would have queued, and 64 connections never "
    "mean more than 64 concurrent requests. `python -m benchmarks.serving.overload` sends at a fixed rate instead. "
    "Each load repeats the same body; no server was configured to cache. A load lasts seconds, so the run does not "
    "show how memory develops over hours."
)


def section(run: Run) -> str:
    """Return the section of docs/performance.md, without its heading."""
    parts = [
        _taken(run),
        summary(run),
        losses(run),
        table(run),
        *([_scaling(run)] if run.scaling else []),
        configured(run),
        CLOSED_LOOP,
    ]
    return "\n\n".join(parts) + "\n"


def table(run: Run) -> str:
    """Return every figure of the run: one line per model, server and load."""
    head = [
        "model",
        "server",
        "rows x conn.",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "CPU µs per request",
        "memory MiB",
        "start s",
        "wrong / checked",
    ]
    lines = [head, ["---", "---", *["---:"] * (len(head) - 2)]]
    for entry in run.measured:
        name = _title(run, entry.server)
        if entry.trouble:
            lines.append([entry.model, name, "", "", "", "", "", "", "", f"not measured: {_plain(entry.trouble)}"])
        for place, load in enumerate(entry.loads):
            once = [
                f"{entry.memory_mib:,.0f} → {entry.memory_after_mib:,.0f}",
                f"{entry.start_s:.1f}",
                f"{entry.wrong} / {entry.compared:,}",
            ]
            lines.append([entry.model, name, load.name, *_figures(load), *(once if place == 0 else ["", "", ""])])
    return _markdown(lines)


def _figures(load: Load) -> list[str]:
    failed = f" ({load.failed} failed)" if load.failed else ""
    unlogged = f" ({load.unlogged:.0%} of rows not logged)" if load.unlogged >= 0.005 else ""
    return [
        f"{_rate(load.per_second)}{failed}{unlogged}",
        f"{load.p50_ms:.2f}",
        f"{load.p99_ms:.2f}",
        f"{load.cpu_us:,.0f}",
    ]


def summary(run: Run) -> str:
    """Return our server beside the best peer of each load."""
    head = [
        "model",
        "rows x conn.",
        "ours, requests/s",
        "best peer",
        "peer, requests/s",
        "ours / peer",
        "ours, p99 ms",
        "peer, p99 ms",
    ]
    lines = [head, ["---", "---:", "---:", "---", "---:", "---:", "---:", "---:"]]
    for ours in _all(run, OURS):
        for load in ours.loads:
            against = [(peer, found) for peer in _peers(run, ours.model) if (found := peer.load(load.name))]
            if not against:
                continue
            peer, best = max(against, key=lambda pair: pair[1].per_second)
            ratio = load.per_second / best.per_second if best.per_second else 0.0
            figures = [_rate(best.per_second), f"{ratio:.1f}", f"{load.p99_ms:.2f}", f"{best.p99_ms:.2f}"]
            lines.append([ours.model, load.name, _rate(load.per_second), _title(run, peer.server), *figures])
    return _markdown(lines)


def losses(run: Run) -> str:
    """List each of our figures that a peer beats."""
    found: list[str] = []
    for ours in _all(run, OURS):
        peers = _peers(run, ours.model)
        for load in ours.loads:
            pairs = [(peer, other) for peer in peers if (other := peer.load(load.name)) and not other.failed]
            where = f"{ours.model}, {load.name}"
            found += _beaten(
                run, f"{where}, requests/s", load.per_second, ((p, o.per_second) for p, o in pairs), larger=True
            )
            found += _beaten(run, f"{where}, p50 ms", load.p50_ms, ((p, o.p50_ms) for p, o in pairs))
            found += _beaten(run, f"{where}, p99 ms", load.p99_ms, ((p, o.p99_ms) for p, o in pairs))
            found += _beaten(run, f"{where}, CPU µs per request", load.cpu_us, ((p, o.cpu_us) for p, o in pairs))
        found += _beaten(run, f"{ours.model}, start s", ours.start_s, ((p, p.start_s) for p in peers))
        found += _beaten(
            run,
            f"{ours.model}, memory MiB after the first response",
            ours.memory_mib,
            ((p, p.memory_mib) for p in peers),
        )
        found += _beaten(
            run,
            f"{ours.model}, memory MiB after the loads",
            ours.memory_after_mib,
            ((p, p.memory_after_mib) for p in peers),
        )
    if not found:
        return "**Where another server is better:** in none of this run's figures."
    return "\n".join(["**Where another server is better:**", "", *(f"- {line}" for line in found)])


def _beaten(
    run: Run, what: str, ours: float, others: Iterable[tuple[Measured, float]], *, larger: bool = False
) -> list[str]:
    better = [(peer, value) for peer, value in others if (value > ours if larger else value < ours)]
    if not better:
        return []
    better.sort(key=lambda pair: pair[1], reverse=larger)
    return [
        f"{what}: {', '.join(f'{_title(run, peer.server)} {_rate(value)}' for peer, value in better)}; ours "
        f"{_rate(ours)}."
    ]


def configured(run: Run) -> str:
    """Return how each server was configured, and which pages of its documentation that follows."""
    lines = [["server", "version", "configuration", "documentation that it follows"], ["---"] * 4]
    lines += [
        [about.title, about.versions.get(about.distribution, ""), about.configured, about.page] for about in run.servers
    ]
    return _markdown(lines)


def _taken(run: Run) -> str:
    ours = next((about.versions for about in run.servers if about.name == OURS), {})
    shared = ", ".join(f"{name} {ours[name]}" for name in ("scikit-learn", "numpy", "pandas") if name in ours)
    others = [f"{about.title}: {wrong}" for about in run.servers if (wrong := _differing(about, ours))]
    cores = (
        "the server with all its processes on one core, the load generator on the other"
        if run.pinned
        else "no process pinned to a core"
    )
    rounds = (
        f"medians of {run.rounds} rounds, each of which starts every server in turn" if run.rounds > 1 else "one round"
    )
    return (
        f"{run.date}, {run.machine}, load average {run.busy:.1f} before the run; Python {run.python}, {shared} in "
        f"every environment{f' but {_listed(others)}' if others else ''}; {cores}; {run.load}, keep-alive, "
        f"{run.seconds:g} s per load after a shorter warm-up that is not counted; {rounds}. CPU and memory (PSS) cover "
        "all processes of a server, including our log writer. Memory is shown after the first response → after the "
        "loads. Our server runs with everything on: API key, validation, metrics, request log, request ids. The "
        "others run as configured below, without API key and request log."
    )


def _scaling(run: Run) -> str:
    return "\n".join(
        f"**Two workers** ({each.model}, {each.rows} rows, {each.connections} connections): "
        f"{_rate(each.two_per_second)} requests/s, against {_rate(each.one_per_second)} with one worker: "
        f"{each.two_per_second / each.one_per_second:.2f} times as many; {each.two_cpu_us:,.0f} and "
        f"{each.one_cpu_us:,.0f} µs of CPU per request. Server and load generator shared two cores in both cases, "
        f"because this machine has no third. With two workers, the load generator took {each.load_share:.0%} of both "
        "cores; with a core of its own, it would leave that to the server. If the two CPU figures differ much, other "
        "work on the machine disturbed one of them."
        for each in run.scaling
        if each.one_per_second
    )


def _differing(about: About, ours: dict[str, str]) -> str:
    names = ("python", "scikit-learn", "numpy", "pandas")
    return _listed(
        [
            f"{name} {about.versions[name]}"
            for name in names
            if about.versions.get(name, ours.get(name)) != ours.get(name)
        ]
    )


def _listed(parts: list[str]) -> str:
    return ", ".join(parts)


def _all(run: Run, server: str) -> list[Measured]:
    return [entry for entry in run.measured if entry.server == server and not entry.trouble]


def _peers(run: Run, model: str) -> list[Measured]:
    """Peers without a wrong prediction: a fast wrong one does not count."""
    return [
        entry
        for entry in run.measured
        if entry.server != OURS and entry.model == model and not entry.trouble and not entry.wrong
    ]


def _title(run: Run, server: str) -> str:
    title = next((about.title for about in run.servers if about.name == server), server)
    return f"**{title}**" if server == OURS else title


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _plain(text: str) -> str:
    return text.replace("|", "/")


def _markdown(lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
