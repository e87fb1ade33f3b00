"""Find out how a CSV file is laid out: its separator, its header, and the lines above it."""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from platform_lib.errors import UsageError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True, kw_only=True, slots=True)
class CsvLayout:
    """How a CSV file is laid out."""

    separator: str
    header: list[str]
    """The cells of the header."""
    skipped: int
    """Lines above the header: comments, and the `sep=;` that spreadsheets write."""

    def read_options(self, block_bytes: int) -> Any:
        """Arrow's options for reading rows in blocks; columns are named by their positions."""
        from pyarrow import csv as arrow_csv

        # The header may span lines, so Arrow skips it as a row.
        return arrow_csv.ReadOptions(
            column_names=self._placeholders(),
            skip_rows=self.skipped,
            skip_rows_after_names=1,
            block_size=block_bytes,
        )

    def options(self) -> dict[str, Any]:
        """Arrow's options for parsing and converting: all cells are texts."""
        from pyarrow import csv as arrow_csv

        return {
            "parse_options": arrow_csv.ParseOptions(delimiter=self.separator, newlines_in_values=True),
            "convert_options": arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(self._placeholders(), pa.string()), strings_can_be_null=False
            ),
        }

    def _placeholders(self) -> list[str]:
        return [str(number) for number in range(len(self.header))]


def csv_layout(path: Path, open_text: Callable[[], TextIO] | None = None) -> CsvLayout:
    """Find the lines above the header, and the separator for which the first rows agree on the most columns.

    Args:
        path: Of the file; of a text that is not in a file, its name for errors.
        open_text: Opens that text.
    Raises:
        UsageError: The file is not CSV in UTF-8, or has only blank lines.
    """
    open_text = open_text or partial(path.open, encoding="utf-8-sig", newline="")
    best: tuple[int, str, list[str]] | None = None
    try:
        skipped, given = _above_header(open_text)
        for separator in given or SEPARATORS:
            with open_text() as file:
                lines = islice(file, skipped, None)
                rows = [row for row in islice(csv.reader(lines, delimiter=separator), 20) if row]
            if not rows:
                raise UsageError(f"{path} has only blank lines, expected a header row and data rows.")
            agreeing = sum(len(row) == len(rows[0]) for row in rows)
            score = len(rows[0]) * agreeing if agreeing > len(rows) / 2 else 0
            if best is None or score > best[0]:
                best = (score, separator, rows[0])
    except UnicodeDecodeError as err:
        raise not_utf8(path) from err
    except csv.Error as err:
        raise UsageError(f"{path} is not CSV: {err}. Save the table as CSV (UTF-8) or Parquet.") from err
    assert best is not None
    return CsvLayout(separator=best[1], header=best[2], skipped=skipped)


def _above_header(open_text: Callable[[], TextIO]) -> tuple[int, str]:
    """The number of lines above the header, and the separator that one of them names, if any."""
    with open_text() as file:
        count = 0
        for line in islice(file, 100):
            if named := re.fullmatch(r"""["']?sep=([,;\t|])["']?\s*""", line, re.IGNORECASE):
                return count + 1, named[1]
            if not line.startswith("# "):
                break
            count += 1
    return count, ""


def csv_names(header: list[str]) -> list[str]:
    """The names of a header's cells; blank ones get the names that pandas gives them."""
    return [name.strip() or f"Unnamed: {number}" for number, name in enumerate(header)]


def not_utf8(path: Path) -> UsageError:
    """The error for a file in another encoding, with the line and the byte that show it. Slow."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as err:
                return UsageError(
                    f"{path} is not UTF-8: line {number} contains the byte 0x{line[err.start]:02x}. "
                    "Save it as UTF-8; in a spreadsheet, choose 'CSV UTF-8'."
                )
    return UsageError(f"{path} is not UTF-8; save it as UTF-8.")
