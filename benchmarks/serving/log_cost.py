"""Measure what the request log costs per request, and check that a graceful shutdown loses nothing.

python -m benchmarks.serving.log_cost       # 200,000 requests of one row and 20 columns, in bursts
"""

import argparse
import statistics
import tempfile
import time

from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder
from platform_lib.serving.request_log.recorder import LoggedModel, LogSettings, RequestLog

BURST = 5_000
LIMIT_US = 20.0


def main() -> int:
    """Print the figures; return 1 if a row was lost or the hot path took too long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200_000)
    requests = parser.parse_args().requests
    columns = {f"number_{place}": [place + 0.125] for place in range(16)} | {
        f"text_{place}": [f"value {place}"] for place in range(4)
    }
    types = {name: "string" if name.startswith("text") else "number" for name in columns}
    model = LoggedModel("benchmark", "1", "classification", types, ("no", "yes"))
    with tempfile.TemporaryDirectory() as folder:
        log = RequestLog(LogSettings(location=folder))
        burst_us = []
        cpu_before = time.process_time()
        for first in range(0, requests, BURST):
            start = time.perf_counter()
            for number in range(first, first + BURST):
                log.predictions(model, f"request-{number}", "checkout", 1.25, columns, ["yes"], [[0.25, 0.75]])
            burst_us.append((time.perf_counter() - start) / BURST * 1e6)
            # As between bursts of real traffic: the sender gets its turn, and the buffer does not fill up.
            while log.counts.taken - log.counts.written - log.counts.dropped > 20_000:
                time.sleep(0.02)
        start = time.perf_counter()
        log.close(timeout_s=120)
        stop_s = time.perf_counter() - start
        cpu_us = (time.process_time() - cpu_before) / len(burst_us) / BURST * 1e6
        counts, kept = log.counts, len(LogFolder.at(folder).read(PREDICTIONS))
    print(
        f"{counts.taken} requests: {statistics.median(burst_us):.1f} µs each on the hot path (median of "
        f"{len(burst_us)} bursts of {BURST})"
    )
    print(f"{cpu_us:.1f} µs of the server's CPU each, including its sending thread; the writer is a separate process")
    print(
        f"graceful shutdown took {stop_s:.1f} s: {counts.written} written, {counts.dropped} dropped, {kept} rows found "
        "in the files"
    )
    return 0 if counts.taken == counts.written == kept and statistics.median(burst_us) <= LIMIT_US else 1


if __name__ == "__main__":
    raise SystemExit(main())
