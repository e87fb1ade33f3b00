"""Send requests through Traefik after pauses around the time limits of idle connections, and count those not answered.

    python -m benchmarks.serving.pauses

Traefik closes its idle connections to a server after 90 s, the server closes them after 120 s. If the server closed
first, Traefik could send a request on a connection that is being closed, and would answer 502. Each pause has a
Traefik of its own, so that all run at the same time. Exits with 1 if a request was not answered. Needs `traefik`.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from benchmarks.serving.models import iris
from benchmarks.serving.own import serving

PAUSES_S = (1, 30, 60, 85, 89, 89.8, 90, 90.2, 91, 95, 105, 115, 119, 119.8, 120, 120.2, 121, 122, 125, 150)
REQUESTS = 16


@contextmanager
def traefik(program: str | Path, folder: Path, port: int, url: str, *arguments: str) -> Iterator[str]:
    """Run a Traefik in front of a server; yield its address."""
    services = {"server": {"loadBalancer": {"servers": [{"url": url}]}}}
    routers = {"all": {"rule": "PathPrefix(`/`)", "service": "server"}}
    (folder / "routes.yml").write_text(json.dumps({"http": {"services": services, "routers": routers}}), "utf-8")
    command = [
        str(program),
        f"--entrypoints.web.address=127.0.0.1:{port}",
        f"--providers.file.filename={folder}/routes.yml",
    ]
    with (folder / "traefik.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


async def after_pauses(
    url: str, body: bytes, headers: Mapping[str, str], pauses_s: Sequence[float], requests: int = REQUESTS
) -> list[int]:
    """Send requests at once over as many connections, before and after each pause; return their statuses."""
    limits = httpx.Limits(max_keepalive_connections=0)  # of ours to Traefik; it keeps its own to the server
    async with httpx.AsyncClient(limits=limits, timeout=60) as http:

        async def all_at_once() -> list[int]:
            json_headers = {"Content-Type": "application/json", **headers}
            answers = [http.post(f"{url}/predict", content=body, headers=json_headers) for _ in range(requests)]
            return [answer.status_code for answer in await asyncio.gather(*answers)]

        statuses = await all_at_once()
        for pause_s in pauses_s:
            await asyncio.sleep(pause_s)
            statuses += await all_at_once()
        return statuses


async def wait_for(url: str) -> None:
    """Wait until Traefik forwards requests.

    Raises:
        TimeoutError: It does not.
    """
    async with asyncio.timeout(60), httpx.AsyncClient() as http:
        while True:
            try:
                if (await http.get(f"{url}/healthz")).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.05)


def main() -> None:
    """Measure every pause and print what was answered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="times that each pause is made")
    parser.add_argument("--first-port", type=int, default=18_700, help="of the Traefiks")
    given = parser.parse_args()
    program = shutil.which("traefik")
    if program is None:
        sys.exit("traefik is not on this machine's PATH.")
    model = iris()
    body = json.dumps({"rows": model.rows[:1]}).encode()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running = stack.enter_context(serving(model, folder, core=None))
        url = running.url.removesuffix("/predict")
        urls = []
        for number, _ in enumerate(PAUSES_S):
            (folder / str(number)).mkdir()
            urls.append(stack.enter_context(traefik(program, folder / str(number), given.first_port + number, url)))

        async def one(url: str, pause_s: float) -> list[int]:
            await wait_for(url)
            return await after_pauses(url, body, running.headers, [pause_s] * given.rounds)

        async def every_pause() -> list[list[int]]:
            return await asyncio.gather(*map(one, urls, PAUSES_S))

        found = asyncio.run(every_pause())
    bad = {
        pause_s: [status for status in statuses if status != 200]
        for pause_s, statuses in zip(PAUSES_S, found, strict=True)
    }
    print(f"{sum(map(len, found))} requests at pauses of {PAUSES_S[0]:g} to {PAUSES_S[-1]:g} s, ", end="")
    print(f"{sum(map(len, bad.values()))} not answered: { ({pause: some for pause, some in bad.items() if some}) }")
    sys.exit(any(bad.values()))


if __name__ == "__main__":
    main()
