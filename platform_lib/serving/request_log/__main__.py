"""Entry point of the writer process, `python -m platform_lib.serving.request_log`.

Importing pandas and numpy is blocked: pyarrow would import them, for at least 45 MiB.
"""

import signal

from platform_lib.serving.light_imports import block_imports


def main() -> None:
    """Run until the end of input. Arguments: location, flush_s, file_rows, keep_rows."""
    # The server stops this process by closing the pipe. A container's SIGTERM may arrive here first, and must not lose
    # rows that wait in the pipe. While this process starts, its parent's mask blocks the signal.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    block_imports("pandas", "numpy")
    from platform_lib.serving.request_log import writer

    writer.main()


if __name__ == "__main__":
    main()
