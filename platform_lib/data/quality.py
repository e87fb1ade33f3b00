"""Check a table against its contract with Pandera: types, missing values, ranges and categories."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.frame import EXPECTED, convert
from platform_lib.errors import CheckFailed

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

_EXAMPLES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """One way in which one column breaks the contract."""

    column: str
    """Empty where the violation is about the whole table."""
    rows: int
    """How many rows break it; 0 where the column itself is missing."""
    problem: str
    """What is wrong and what was expected, such as `below min 18`."""
    examples: tuple[str, ...] = ()
    """Up to three, as `17 in row 4`; rows count from 0."""

    def __str__(self) -> str:
        place = f"column {self.column!r}{': ' if self.rows else ' '}" if self.column else ""
        return f"{place}{self.without_column()}"

    def without_column(self) -> str:
        """The violation where the column is named already."""
        if not self.rows:
            return self.problem
        such_as = f", such as {', '.join(self.examples)}" if self.examples else ""
        return f"{self.problem} in {self.rows} row{'' if self.rows == 1 else 's'}{such_as}"


def check_table(table: pd.DataFrame, contract: DataContract) -> pd.DataFrame:
    """Check a raw table against its contract and convert it: the contract's columns in its order, dtypes as in `frame`.

    Raises:
        CheckFailed: The table breaks the contract; the message lists every violation.
    """
    typed, found = violations(table, contract)
    if found:
        listed = "; ".join(str(violation) for violation in found[:10])
        more = f"; and {len(found) - 10} more (`mlp data check {contract.name}` lists all)" if len(found) > 10 else ""
        raise CheckFailed(
            f"the table {contract.name!r} breaks its contract: {listed}{more}. "
            f"Fix the data; or, if the data is right, edit conf/data/{contract.name}.yaml. Rows count from 0."
        )
    return typed


def violations(table: pd.DataFrame, contract: DataContract) -> tuple[pd.DataFrame, list[Violation]]:
    """Type a raw table and list everything that breaks the contract.

    Returns:
        The typed table without what could not be read, and the violations in the contract's order.
    """
    found: list[Violation] = []
    typed: dict[str, pd.Series] = {}
    for name, column in contract.columns.items():
        if name not in table:
            found.append(Violation(column=name, rows=0, problem="is missing from the table"))
            continue
        values, bad = convert(table[name], column)
        typed[name] = pd.Series(values, index=table.index, dtype=values.dtype)
        if bad.size:
            found.append(
                Violation(
                    column=name,
                    rows=bad.size,
                    problem=f"not {EXPECTED[column.type]}",
                    examples=_examples(table[name], bad, column),
                )
            )
    frame = pd.DataFrame(typed, index=table.index)
    if len(frame) == 0:
        return frame, [*found, Violation(column="", rows=0, problem="the table has no rows")]
    unreadable = {violation.column for violation in found}
    found += [violation for violation in _pandera_violations(frame, contract) if violation.column not in unreadable]
    places = list(contract.columns)
    return frame, sorted(found, key=lambda violation: places.index(violation.column))


def pandera_schema(contract: DataContract) -> "DataFrameSchema":
    """The contract as the Pandera schema of a typed table."""
    import pandera.pandas as pandera

    def schema_of(name: str, column: Column) -> Any:
        checks = []
        if column.type == "integer":
            checks.append(pandera.Check(lambda values: values == np.floor(values), error=f"not {EXPECTED['integer']}"))
        if column.min is not None:
            checks.append(pandera.Check.ge(column.min, error=f"below min {column.min:g}"))
        if column.max is not None:
            checks.append(pandera.Check.le(column.max, error=f"above max {column.max:g}"))
        if column.allowed is not None:
            known = column.allowed if column.type == "string" else [float(value) for value in column.allowed]
            checks.append(pandera.Check.isin(known, error="not among the allowed values"))
        dtype = {"string": object, "datetime": "datetime64[us]"}.get(column.type, "float64")
        nullable = column.nullable and name != contract.target
        return pandera.Column(dtype, checks=checks, nullable=nullable)

    return pandera.DataFrameSchema(
        {name: schema_of(name, column) for name, column in contract.columns.items()}, strict=False
    )


def _pandera_violations(frame: pd.DataFrame, contract: DataContract) -> list[Violation]:
    from pandera.errors import SchemaErrors

    # Only columns that are there: a missing one is a violation already.
    schema = pandera_schema(contract)
    schema = schema.remove_columns([name for name in contract.columns if name not in frame])
    try:
        schema.validate(frame.reset_index(drop=True), lazy=True)
    except SchemaErrors as err:
        cases = err.failure_cases
    else:
        return []
    found = []
    for (name, problem), group in cases.groupby(["column", "check"], sort=False):
        rows: NDArray[np.intp] = group["index"].dropna().astype(int).to_numpy()
        missing = problem == "not_nullable"
        problem = "no value, though not nullable," if missing else problem
        examples = (
            _places(rows)
            if missing
            else _examples(frame[name].reset_index(drop=True), rows, contract.columns[str(name)])
        )
        found.append(Violation(column=str(name), rows=max(int(rows.size), 1), problem=problem, examples=examples))
    return found


def _places(rows: NDArray[np.intp]) -> tuple[str, ...]:
    return tuple(f"row {row}" for row in rows[:_EXAMPLES].tolist())


def _examples(values: pd.Series, rows: NDArray[np.intp], column: Column) -> tuple[str, ...]:
    if column.is_private:
        return _places(rows)
    return tuple(f"{_shown(values.iloc[row])} in row {row}" for row in rows[:_EXAMPLES].tolist())


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value!r:.60}"
