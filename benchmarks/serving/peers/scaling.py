"""Our server with two workers against one, on a machine of two cores.

There is no third core for the load, so server and load share both, for one worker as for two. The request is chosen so that the load generator needs
little: 100 rows of the mixed model. What it takes all the same is measured, and makes the ratio smaller than it would be with a core of its own.
"""

import resource
from pathlib import Path

from benchmarks.serving.models import BenchmarkModel
from benchmarks.serving.peers.measuring import Plan, load_on, our_target
from benchmarks.serving.peers.results import Load, Scaling

ROWS, CONNECTIONS = 100, 16


def two_workers(model: BenchmarkModel, programs: Path, seconds: float) -> Scaling:
    """Measure one worker, then two."""
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
    """Of processes that have ended and were waited for: load generators, not the running server."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
