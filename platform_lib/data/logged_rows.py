"""Rows of a table that came from the request log, and where each came from: columns that no contract has.

`monitoring.retraining.from_log` writes them. Training ignores columns without an entry in the contract.
"""

from dataclasses import dataclass
from pathlib import Path

REQUEST = "mlp_request"
"""Column: request id and position in the request, as `id/0`; missing in rows that were imported from a file."""
LOG_FILE = "mlp_log_file"
"""Column: file of the request log, relative to the log's folder."""
MODEL_VERSION = "mlp_version"
"""Column: version of the model that predicted the row."""
COLUMNS = (REQUEST, LOG_FILE, MODEL_VERSION)
_NAMED_FILES = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedRows:
    """The rows of a table that came from the request log."""

    rows: int
    files: tuple[str, ...]
    """Files of the request log, sorted."""

    def __str__(self) -> str:
        """Describe them in one line, with at most ten files."""
        if not self.rows:
            return ""
        more = f" and {len(self.files) - _NAMED_FILES} more" if len(self.files) > _NAMED_FILES else ""
        return f"{self.rows} from {', '.join(self.files[:_NAMED_FILES])}{more}"


def logged_rows(table: Path) -> LoggedRows:
    """Read which rows of a table came from the request log.

    Args:
        table: Parquet file of the table; any other file has none.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as parquet

    try:
        has_files = LOG_FILE in parquet.read_schema(table).names
    except (OSError, pa.ArrowInvalid):
        return LoggedRows(rows=0, files=())
    if not has_files:
        return LoggedRows(rows=0, files=())
    files = parquet.read_table(table, columns=[LOG_FILE])[LOG_FILE].drop_null()
    return LoggedRows(rows=len(files), files=tuple(sorted(pc.unique(files).to_pylist())))
