"""Decide which columns of an import are sensitive: by the options, else the existing contract, else the data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
import pyarrow as pa

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.personal.recognition import PersonalData, recognize
from platform_lib.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class SensitiveOptions:
    """What the user says about sensitive columns."""

    sensitive: tuple[str, ...] = ()
    """Columns to mark as sensitive, in addition to those that look so."""
    not_sensitive: tuple[str, ...] = ()
    """Columns to leave or make not sensitive."""


def recognized(columns: Mapping[str, tuple[Column, pa.ChunkedArray]], target: str) -> dict[str, PersonalData]:
    """The columns that look like personal data. Never the target, because every prediction is one of its values.

    Args:
        columns: Contract entries and typed values, shape (n,), by name.
        target: Name of the target.
    """
    found = {name: recognize(name, values, column.type) for name, (column, values) in columns.items() if name != target}
    return {name: sign for name, sign in found.items() if sign is not None}


def chosen(
    options: SensitiveOptions,
    signs: Mapping[str, PersonalData],
    existing: DataContract | None,
    names: Iterable[str],
    target: str,
) -> set[str]:
    """The names of the sensitive columns. An option decides first, then the existing contract, then the data.

    Raises:
        UsageError: An option names an unknown column, the target, or a column that the other option names.
    """
    check_options(options, list(names), target)
    before = {} if existing is None else existing.columns
    decided = {name: column.sensitive for name, column in before.items()}
    decided |= dict.fromkeys(options.sensitive, True) | dict.fromkeys(options.not_sensitive, False)
    return {name for name in names if decided.get(name, name in signs)}


def check_options(options: SensitiveOptions, names: list[str], target: str) -> None:
    """Check `--sensitive` and `--not-sensitive`.

    Raises:
        UsageError: One names an unknown column, the target, or a column that the other names.
    """
    for option, given in (("--sensitive", options.sensitive), ("--not-sensitive", options.not_sensitive)):
        if unknown := [name for name in given if name not in names]:
            raise UsageError(
                f"{option} names the column {unknown[0]!r}, which the table does not have; it has {', '.join(names)}."
            )
    if target in options.sensitive:
        raise UsageError(
            f"--sensitive names the target {target!r}, but every prediction is one of its values. Omit it; keys decide "
            "who sees predictions."
        )
    if both := set(options.sensitive) & set(options.not_sensitive):
        raise UsageError(f"the column {min(both)!r} is given to both --sensitive and --not-sensitive; keep one.")


def hidden_column(column: Column) -> Column:
    """A contract entry as that of a sensitive column, which has no limits because limits are values."""
    return msgspec.structs.replace(column, min=None, max=None, allowed=None, log=False, sensitive=True)


def marked(existing: DataContract, options: SensitiveOptions) -> DataContract:
    """The existing contract after the options, before rows are appended.

    Raises:
        UsageError: As `check_options`.
    """
    check_options(options, list(existing.columns), existing.target)
    columns = dict(existing.columns)
    for name in options.sensitive:
        columns[name] = hidden_column(columns[name])
    for name in options.not_sensitive:
        columns[name] = msgspec.structs.replace(columns[name], log=True, sensitive=False)
    return msgspec.structs.replace(existing, columns=columns)


def proposals(contract: DataContract, signs: Mapping[str, PersonalData], options: SensitiveOptions) -> list[str]:
    """One sentence per column that looks like personal data: why, what that means, and the option that changes it."""
    found = []
    for name, sign in signs.items():
        if name not in contract.columns or name in (*options.sensitive, *options.not_sensitive):
            continue
        looks = f"{name!r} looks like {sign.kind} ({sign.reason})"
        if contract.columns[name].sensitive:
            found.append(
                f"{looks}: marked `sensitive: true` and `log: false`, so its values are neither logged nor shown; "
                f'change that with --not-sensitive "{name}".'
            )
        else:
            found.append(f'{looks}, but the contract does not mark it; change that with --sensitive "{name}".')
    return found
