"""Callers of a running model server, and the rows that they send."""

import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx

ROWS: list[dict[str, Any]] = [
    {
        "island": "Biscoe",
        "bill_length_mm": 48.2,
        "bill_depth_mm": 14.3,
        "flipper_length_mm": 210,
        "body_mass_g": 4600,
        "sex": None,
        "year": 2009,
    },
    {
        "island": "Dream",
        "bill_length_mm": 45.0,
        "bill_depth_mm": 17.1,
        "flipper_length_mm": 195,
        "body_mass_g": 3700,
        "sex": "female",
        "year": 2008,
    },
    {
        "island": "Torgersen",
        "bill_length_mm": None,
        "bill_depth_mm": 18.7,
        "flipper_length_mm": 181,
        "body_mass_g": 3750,
        "sex": "male",
        "year": 2007,
    },
]


def answers(url: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text(encoding="utf-8")
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


class Callers:
    """Threads that send requests without pause and keep the responses."""

    def __init__(self, url: str, count: int, headers: dict[str, str] | None = None) -> None:
        self.headers = headers
        self.url, self.answers, self.failures = url, [], []  # type: tuple[str, list[Any], list[str]]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def _ask(self) -> None:
        with httpx.Client(timeout=30, headers=self.headers) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post(f"{self.url}/predict", json={"rows": ROWS})
                    self.answers.append(answer.json()) if answer.status_code == 200 else self.failures.append(
                        answer.text
                    )
                except httpx.HTTPError as err:
                    self.failures.append(repr(err))

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
