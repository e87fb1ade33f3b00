"""The options --force and --reason: override the gate, on the record."""

from typing import TYPE_CHECKING

import click

from platform_lib.errors import UsageError

if TYPE_CHECKING:
    from platform_lib.registry.reference import VersionRecord

force_option = click.option(
    "--force", is_flag=True, help="Accept a version that did not pass the gate; needs --reason."
)
reason_option = click.option(
    "--reason", metavar="TEXT", help="Why the gate is overridden; recorded on the version with your name and the time."
)


def decided_override(record: "VersionRecord", *, force: bool, reason: str | None) -> str | None:
    """Return the reason for which the gate is overridden, and warn; None if there is nothing to override.

    Raises:
        UsageError: One of --force and --reason is missing for a version that did not pass the gate.
    """
    from platform_lib.registry.approval import why_not

    why = why_not(record.tags)
    if why is None or (not force and reason is None):
        return None
    if not force or not (reason or "").strip():
        given, missing = ("--force", '--reason "why it may serve"') if force else ("--reason", "--force")
        raise UsageError(
            f"{given} without {missing.split()[0]}: {record.name} version {record.version} did not pass the gate "
            f"({why}). Add {missing}; both are recorded on the version with your name."
        )
    click.echo(
        f"warning: {why}, and --force overrides it. Who, when and why are recorded on version {record.version}.",
        err=True,
    )
    return reason
