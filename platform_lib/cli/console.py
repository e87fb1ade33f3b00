"""Consoles for commands: results on stdout, progress on stderr, plain text when piped."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def stdout() -> "Console":
    """Return the console for results; piped, it has no colours and does not wrap."""
    return _console(stderr=False)


def stderr() -> "Console":
    """Return the console for progress and notes."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console

    tty = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if tty else int(os.environ.get("COLUMNS", "160"))
    return Console(stderr=stderr, highlight=False, soft_wrap=not tty, width=width, emoji=False, markup=False)


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show that a task is running: a spinner on a terminal, one line when piped."""
    console = stderr()
    if console.is_terminal:
        with console.status(text):
            yield
    else:
        console.print(text)
        yield
