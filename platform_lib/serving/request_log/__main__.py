"""What `request_log` starts: the writer of `log_writer`, in a process without pandas and numpy, which pyarrow would import for 45 MiB and more."""

from platform_lib.serving.light_imports import keep_out


def main() -> None:
    """Run until the input ends. Arguments: place, flush_s, file_rows, keep_rows."""
    keep_out("pandas", "numpy")
    from platform_lib.serving.request_log import writer

    writer.main()


if __name__ == "__main__":
    main()
