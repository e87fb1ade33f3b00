"""Tell whether a process that was recorded by id and start time still runs."""

from collections.abc import Sequence


def still_runs(
    pid: int, create_time: float, *, command: Sequence[str] | None = None, tolerance_s: float = 0.02
) -> bool:
    """Compare a record with the process that has its id now: systems reuse ids.

    Args:
        pid: Process id.
        create_time: When the recorded process started, in seconds since the epoch.
        command: Its command line. After the clock of a virtual machine has jumped, start times no longer match, and the
            command line decides.
        tolerance_s: How far start times may differ.
    """
    try:
        import psutil
    except ImportError:  # an environment that only serves starts no processes to record
        return True
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if abs(process.create_time() - create_time) < tolerance_s:
            return True
        return command is not None and process.cmdline()[1:] == list(command[1:])
    except psutil.Error:
        return False
