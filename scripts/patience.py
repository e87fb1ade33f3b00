"""Run a silent command and show that it works: `python scripts/patience.py TEXT COMMAND …`. Standard library only.

On a terminal one line counts the seconds; elsewhere a line appears every 20 s. If the command fails, its output is
shown.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_EVERY_S = 20.0


def run(text: str, command: Sequence[str], *, folder: Path | None = None, env: Mapping[str, str] | None = None) -> int:
    """Run a command; returns its exit code.

    Args:
        text: What it does, such as `Installing packages`.
        command: Program and arguments.
        folder: Working directory; None is this process's.
        env: Environment; None is this process's.
    """
    start = time.monotonic()
    is_terminal = sys.stderr.isatty()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait(process, text, start, is_terminal=is_terminal)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        if process.returncode:
            output.seek(0)
            print(output.read().decode(errors="replace"), file=sys.stderr)
    if is_terminal:
        print(end="\r\x1b[K", file=sys.stderr, flush=True)
    print(
        f"{text}: {'done' if not process.returncode else 'failed'} after {time.monotonic() - start:.0f} s", flush=True
    )
    return process.returncode


def _wait(process: "subprocess.Popen[bytes]", text: str, start: float, *, is_terminal: bool) -> None:
    shown = start
    while True:
        try:
            process.wait(timeout=0.5)
            return
        except subprocess.TimeoutExpired:
            now = time.monotonic()
        if is_terminal:
            print(f"\r{text} … {now - start:.0f} s", end="", file=sys.stderr, flush=True)
        elif now - shown > _EVERY_S:
            shown = now
            print(f"{text} … {now - start:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(run(sys.argv[1], sys.argv[2:]))
    except KeyboardInterrupt:
        sys.exit(130)
