"""Compare two workers of our server with one, on a machine with two cores.

The load generator has no core of its own, so it shares both cores with the server in both cases. The request (100
rows of the mixed model) is chosen so that the load generator needs little CPU. What it uses is measured; it makes the
ratio smaller than it would be with a third core.
"""

import resource
from pathlib import Path

from benchmarks.serving.models import BenchmarkModel
from benchmarks.serving.peers.measuring import Plan, load_on, our_target
from benchmarks.serving.peers.results import Load, Scaling

ROWS, CONNECTIONS = 100, 16


def two_workers(model: BenchmarkModel, programs: Path, seconds: float) -> Scaling:
    """Measure one worker, then two workers."""
    one, _ = _with_workers(1, model, programs, seconds)
    two, load_share = _with_workers(2, model, programs, seconds)
    return Scaling(
        model=model.name,
        rows=ROWS,
        connections=CONNECTIONS,
        one_per_second=one.per_second,
        two_per_second=two.per_second,
        one_cpu_us=one.cpu_us,
        two_cpu_us=two.cpu_us,
        load_share=load_share,
    )


def _with_workers(workers: int, model: BenchmarkModel, programs: Path, seconds: float) -> tuple[Load, float]:
    with our_target(model, programs, "--workers", str(workers), core=None) as target:
        before = _children_cpu_s()
        load = load_on(target, model, rows=ROWS, connections=CONNECTIONS, plan=Plan(seconds, None, None))
        spent_s = seconds + max(1.0, seconds / 2)
        return load, (_children_cpu_s() - before) / spent_s / 2


def _children_cpu_s() -> float:
    """CPU seconds of child processes that have ended: the load generators, not the running server."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
