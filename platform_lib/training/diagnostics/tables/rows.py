"""Tables of single rows."""

import msgspec


class RowRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One held-out row on which the model errs."""

    row: int
    """Position among the held-out rows, from 0."""
    table_row: int
    """Position in the table, from 0."""
    id: str | None
    """Value of the id column; None if there is none or it is private."""
    actual: str | float | None
    """Label or number; None if the target is private."""
    predicted: str | float | None
    probability: float | None
    """Of the actual class; None for numbers, or if the target is private."""
    error: float | None
    """Prediction − actual; None for classes, or if the target is private."""
    values: dict[str, str]
    """Up to 30 features as texts, the strongest first; private columns are left out, missing values are `missing`."""


class LabelErrors(msgspec.Struct, frozen=True, kw_only=True):
    """Rows whose label is likely wrong, as the model is sure of another one."""

    likely: list[RowRecord]
    """The likeliest first; at most 20."""
    count: int
    """All such rows."""
    by_chance: float
    """Rows that would look like this if every label were right and every probability too."""
    limit: float
    """Probability of the given label below which a row is one of them."""
