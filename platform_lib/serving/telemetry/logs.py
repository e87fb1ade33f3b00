"""The server's own log: one line per record, as text or JSON. `request_log` stores requests and predictions."""

import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime

import msgspec

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
