"""Put a bounded load on a prediction server, from a separate process.

The closed loop uses wrk, or a small client if wrk is not installed. The open loop uses the small client: it sends at
a fixed rate, whatever the server does, and measures a request's latency from the time when it was due.

    python -m benchmarks.serving.load closed URL BODY_FILE --connections 64 --seconds 5
    python -m benchmarks.serving.load open URL BODY_FILE --rate 500 --seconds 5
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

MOST_CONNECTIONS = 256
LONGEST_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadResult:
    """Result of a load. Times in milliseconds."""

    seconds: float
    statuses: dict[str, int]
    """Responses by status; `error` counts requests without a response."""
    p50_ms: float
    p99_ms: float
    max_ms: float
    refused_p99_ms: float = 0.0
    """Of 503 responses only. In the open loop, the times above are of 200 responses only."""

    @property
    def per_second(self) -> float:
        """200 responses per second."""
        return self.statuses.get("200", 0) / self.seconds


def closed_loop(
    url: str, body: bytes, headers: dict[str, str], *, connections: int, seconds: float, core: int | None = None
) -> LoadResult:
    """Run a closed loop: each connection sends its next request as soon as it has a response."""
    return _run(["closed", url, "--connections", str(connections), "--seconds", str(seconds)], body, headers, core)


def open_loop(
    url: str, body: bytes, headers: dict[str, str], *, rate: float, seconds: float, core: int | None = None
) -> LoadResult:
    """Run an open loop: `rate` requests per second, evenly spaced."""
    return _run(["open", url, "--rate", str(rate), "--seconds", str(seconds)], body, headers, core)


def _run(arguments: list[str], body: bytes, headers: dict[str, str], core: int | None) -> LoadResult:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "body.json"
        file.write_bytes(body)
        command = [
            sys.executable,
            "-m",
            "benchmarks.serving.load",
            arguments[0],
            arguments[1],
            str(file),
            *arguments[2:],
        ]
        for name, value in headers.items():
            command += ["--header", f"{name}: {value}"]
        if core is not None:
            command += ["--core", str(core)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[2])
    if done.returncode:
        raise RuntimeError(f"the load failed: {done.stderr}")
    return LoadResult(**json.loads(done.stdout.splitlines()[-1]))


_LUA = """
local file = io.open("%s", "rb"); local body = file:read("*all"); file:close()
wrk.method = "POST"; wrk.body = body
%s
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args) statuses = {} end
function response(status) statuses[status] = (statuses[status] or 0) + 1 end
function done(summary, latency, requests)
  local all = {}
  for _, thread in ipairs(threads) do
    for status, count in pairs(thread:get("statuses")) do all[status] = (all[status] or 0) + count end
  end
  local parts = {}
  for status, count in pairs(all) do table.insert(parts, string.format('"%%d": %%d', status, count)) end
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  if errors > 0 then table.insert(parts, string.format('"error": %%d', errors)) end
  print(string.format('{"seconds": %%f, "statuses": {%%s}, "p50_ms": %%f, "p99_ms": %%f, "max_ms": %%f}', summary.duration / 1e6,
    table.concat(parts, ", "), latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
end
"""


def _wrk(url: str, file: Path, headers: dict[str, str], connections: int, seconds: float) -> str:
    lines = "\n".join(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items())
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_LUA % (file, lines))
        script.flush()
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
            "--timeout",
            "30s",
            "-s",
            script.name,
            url,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]


@dataclass
class _Tally:
    statuses: dict[str, int] = field(default_factory=dict)
    answered_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)

    def add(self, status: str, ms: float) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        (self.answered_ms if status == "200" else self.refused_ms).append(ms)

    def result(self, seconds: float) -> LoadResult:
        ms = sorted(self.answered_ms) or [0.0]
        return LoadResult(
            seconds=seconds,
            statuses=self.statuses,
            p50_ms=_share(ms, 0.5),
            p99_ms=_share(ms, 0.99),
            max_ms=ms[-1],
            refused_p99_ms=_share(sorted(self.refused_ms) or [0.0], 0.99),
        )


def _share(ms: list[float], share: float) -> float:
    return ms[min(len(ms) - 1, int(len(ms) * share))]


class _Connection:
    """One keep-alive connection, one request at a time."""

    def __init__(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        lines = [
            f"POST {parts.path} HTTP/1.1",
            f"Host: {parts.netloc}",
            f"Content-Length: {len(body)}",
            *(f"{k}: {v}" for k, v in headers.items()),
        ]
        self._request = "\r\n".join([*lines, "", ""]).encode() + body
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> str:
        """Send one request; return the status of the response, or `error` if there was none."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            writer.write(self._request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            if b"connection: close" in head:
                self.close()
            return head.split(b" ", 2)[1].decode()
        except (OSError, asyncio.IncompleteReadError, IndexError):
            self.close()
            return "error"

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _closed(url: str, body: bytes, headers: dict[str, str], connections: int, seconds: float) -> LoadResult:
    tally, start = _Tally(), time.perf_counter()

    async def caller() -> None:
        connection = _Connection(url, body, headers)
        while (begun := time.perf_counter()) - start < seconds:
            tally.add(await connection.ask(), (time.perf_counter() - begun) * 1000)
        connection.close()

    await asyncio.gather(*(caller() for _ in range(connections)))
    return tally.result(time.perf_counter() - start)


async def _open(url: str, body: bytes, headers: dict[str, str], rate: float, seconds: float) -> LoadResult:
    tally, idle = _Tally(), [_Connection(url, body, headers) for _ in range(MOST_CONNECTIONS * 4)]
    tasks: set[asyncio.Task[None]] = set()

    async def one(due: float) -> None:
        if not idle:  # the bound on open requests is reached: the server is far behind
            tally.add("unsent", 0.0)
            return
        connection = idle.pop()
        status = await connection.ask()
        tally.add(status, (time.perf_counter() - due) * 1000)
        idle.append(connection)

    start = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = start + number / rate
        if (wait_s := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait_s)
        task = asyncio.create_task(one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    sent_s = time.perf_counter() - start
    if tasks:
        await asyncio.wait(set(tasks), timeout=40)
    for connection in idle:
        connection.close()
    return tally.result(sent_s)


def main() -> None:
    """Run the load that the command line asks for and print its result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("loop", choices=["closed", "open"])
    parser.add_argument("url")
    parser.add_argument("body", type=Path)
    parser.add_argument("--header", action="append", default=[], help="Name: value")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, default=100.0, help="requests per second, open loop")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--core", type=int, help="run on this core only")
    given = parser.parse_args()
    if given.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {given.core})
    headers = {"Content-Type": "application/json", **dict(line.split(": ", 1) for line in given.header)}
    connections, seconds = min(given.connections, MOST_CONNECTIONS), min(given.seconds, LONGEST_S)
    if given.loop == "closed" and shutil.which("wrk"):
        print(_wrk(given.url, given.body.absolute(), headers, connections, seconds))
        return
    body = given.body.read_bytes()
    work = (
        _closed(given.url, body, headers, connections, seconds)
        if given.loop == "closed"
        else _open(given.url, body, headers, given.rate, seconds)
    )
    print(json.dumps(asdict(asyncio.run(work))))


if __name__ == "__main__":
    main()
