"""Convert errors of DVC and its storage to this library's, with the reason that DVC only logs."""

import importlib
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from platform_lib.errors import NotFound, PlatformError, ServiceError, StorageError, UsageError
from platform_lib.storage_errors import storage_error

_SPARE_BYTES = 2**20


class _Reasons(logging.Handler):
    """The errors that DVC logs: that of a failed transfer is not raised."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.errors.append(record.exc_info[1])


@contextmanager
def dvc_errors(action: str, remote: str | None = None, *, needs: tuple[Path, int] | None = None) -> Iterator[None]:
    """Convert errors of a block.

    Args:
        action: What DVC does, such as `push`.
        remote: The name of the remote.
        needs: A folder, and how many bytes DVC writes to it. DVC does not say which disk was full, nor that one was.
    Raises:
        PlatformError: The block failed.
    """
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    where = f"the DVC remote{f' {remote!r}' if remote else ''}"
    with _collected() as logged:
        try:
            yield
        except PlatformError:
            raise
        except Exception as err:
            known = _of_the_disk([err, *logged], needs) or _converted(err, action, where, logged)
            if known is None:
                raise
            raise known from err


@contextmanager
def _collected() -> Iterator[list[BaseException]]:
    """Collect what DVC logs in a block, instead of showing it."""
    importlib.import_module("dvc.repo")  # its first import sets the levels of these loggers
    reasons = _Reasons()
    loggers = [logging.getLogger(name) for name in ("dvc", "dvc_data", "dvc_objects")]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [reasons], False
        logger.setLevel(logging.ERROR)
    try:
        yield reasons.errors
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(logging.CRITICAL)


def _of_the_disk(errors: Sequence[BaseException], needs: tuple[Path, int] | None) -> StorageError | None:
    """The disk's error among those that DVC wraps, most of them implicitly, or logs."""
    for err in errors:
        for each in _chain(err):
            if (known := storage_error(each)) is not None:
                return known
    if needs is not None:
        folder, size = needs
        if shutil.disk_usage(folder).free < size + _SPARE_BYTES:
            return StorageError(
                f"the disk of {folder} is full.",
                f"Free at least {(size + _SPARE_BYTES) / 1e6:.0f} MB, then run the command again.",
            )
    return None


def _converted(err: Exception, action: str, where: str, logged: list[BaseException]) -> PlatformError | None:
    """The error to raise; None for Python's own errors, which are bugs."""
    from dvc.config import ConfigError, NoRemoteError, RemoteNotFoundError
    from dvc.exceptions import CheckoutError, DvcException, FileMissingError, FileTransferError, NotDvcRepoError
    from dvc.lock import LockError
    from dvc_objects.fs.errors import AuthError
    from dvc_objects.fs.errors import ConfigError as StorageConfigError

    failed = f"DVC could not {action}"
    if isinstance(err, NoRemoteError | RemoteNotFoundError):
        return UsageError(f"{failed}: {err}. Add a remote with `dvc remote add --default storage URL`.")
    if isinstance(err, NotDvcRepoError):
        return UsageError(
            f"{failed}: the project has no .dvc folder; restore it with `git checkout -- .dvc`, or run `dvc init`."
        )
    if isinstance(err, LockError):
        return UsageError(
            f"{failed}: another DVC process is running in this project; wait until it ends and try again."
        )
    if isinstance(err, CheckoutError | FileMissingError):
        return NotFound(
            f"{failed}: {where} does not hold the tracked content. Push it with `mlp data push` where it was imported."
        )
    if isinstance(err, ConfigError | StorageConfigError):
        return UsageError(f"{failed}: {_cause(err)}. See .dvc/config, or `dvc remote list`.")
    is_transfer = isinstance(err, FileTransferError | AuthError | OSError)
    if action.startswith("track") or (isinstance(err, DvcException) and not is_transfer):
        return ServiceError(f"{failed}: {_cause(err)}.") if isinstance(err, DvcException | OSError) else None
    # Storage libraries raise their own errors.
    if not is_transfer and type(err).__module__.partition(".")[0] == "builtins":
        return None
    reason = _cause(logged[0] if logged else err)
    return ServiceError(f"{failed}: {where} cannot be reached or refused ({reason}). See `dvc remote list`.")


def _cause(err: BaseException) -> str:
    """The outermost and the innermost reason, in one line: DVC tells the remedy in one, and its cause in the other."""
    reasons = [" ".join((str(each) or type(each).__name__).split()).rstrip(".") for each in _chain(err)]
    outer, inner = reasons[0], reasons[-1]
    return f"{outer:.300}" if inner in outer else f"{outer:.300}: {inner:.200}"


def _chain(err: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = err
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
