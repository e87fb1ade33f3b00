"""Categories of a data contract that people wrote without quotes, and YAML did not read as texts."""

from collections.abc import Mapping
from typing import Any

from platform_lib.errors import UsageError


def check_categories(values: Mapping[str, Any], source: str) -> None:
    """Reject a category of a text column that YAML did not read as a text, such as an unquoted `yes`.

    Args:
        values: A contract as YAML holds it.
        source: Where it comes from, for the error.
    Raises:
        UsageError: Names the column and the value.
    """
    columns = values.get("columns")
    for name, column in columns.items() if isinstance(columns, dict) else ():
        allowed = column.get("allowed") if isinstance(column, dict) and column.get("type") == "string" else None
        for value in allowed if isinstance(allowed, list) else ():
            if not isinstance(value, str):
                shown = str(value).lower() if isinstance(value, bool) else value
                raise UsageError(
                    f"{source}: columns.{name}.allowed has {shown}, which YAML reads as {type(value).__name__}, but "
                    'the column holds texts: put quotes around it, such as "yes" or "2026-01-31".'
                )
