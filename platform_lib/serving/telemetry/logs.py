"""The server's own log: one line per record, as text or JSON. `request_log` stores requests and predictions."""

import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from platform_lib.serving.problems import FRAMES

if TYPE_CHECKING:  # the server's own process needs no model
    from platform_lib.serving.models.served_model import ServedModel

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

trace_fields: ContextVar[dict[str, str] | None] = ContextVar("trace_fields", default=None)
"""trace_id and span_id of the current request, if tracing is on."""


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON, with request_id, trace_id, span_id and traceback if it has them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        document = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := getattr(record, "request_id", None):
            document["request_id"] = request_id
        document |= trace_fields.get() or {}
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(document).decode()


def loggable(err: BaseException | None, find: Callable[[], "ServedModel | None"]) -> BaseException | ExcInfo | None:
    """Return what may be logged of an exception: `exc_info` of a log record.

    Its message may quote a value of the request, so only the traceback is left if the contract has private columns.

    Args:
        err: The exception, if there is one.
        find: Returns the version that served the request. If it fails, the message is not logged either.
    """
    try:
        served = find()
        may_quote = served is not None and served.model.contract.has_private_columns
    except Exception:
        may_quote = True
    if err is None or not may_quote:
        return err
    hidden = RuntimeError(f"{type(err).__name__}; its message may quote values of private columns")
    for note in getattr(err, "__notes__", ()):
        if note.startswith(FRAMES):
            hidden.add_note(note)
    return type(hidden), hidden, err.__traceback__


def log_to_stderr(*, as_json: bool) -> None:
    """Send the server's log to stderr."""
    log_to(lambda line: print(line, file=sys.stderr, flush=True), as_json=as_json)


def log_to(write: Callable[[str], None], *, as_json: bool = False) -> None:
    """Send the server's log to `write`, line by line."""

    class _Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            write(self.format(record))

    handler = _Lines()
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger("platform_lib.serving").setLevel(logging.INFO)
