"""Local programs of a test, with their output in files; all end with the block."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.k8slab.lab import die_with_parent


class Processes:
    """Programs that run until the `with` block ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a program; its output goes to NAME.log."""
        with (self._folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )

    def tails(self) -> str:
        """The programs whose start is being waited for."""
        return f"{', '.join(self._running)} do not answer; see {self._folder}"
