"""`mlp models`: list, show and compare registered versions."""

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from platform_lib.cli.groups import Group
from platform_lib.cli.models.signatures import signed_key, signer_lines, trust, verify
from platform_lib.errors import NotFound
from platform_lib.names import Alias, VersionTag
from platform_lib.settings import Project, find_project, load_settings

if TYPE_CHECKING:
    from platform_lib.registry.reference import VersionRecord
    from platform_lib.registry.versions import Registry


_WIDE = 110
"""Columns of a terminal on which the whole list fits; a narrower one leaves out hashes and times."""


@click.group(cls=Group, invoke_without_command=True, epilog="Example: mlp models diff @champion @candidate")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """List the project's versions, show one, compare two, and decide whose signatures count."""
    if context.invoked_subcommand is not None:
        return
    registry, name = _open()
    project = find_project()
    with _reading():
        records = registry.versions(name)
    if as_json:
        click.echo(json.dumps([_summary(registry, record) for record in records], indent=2, ensure_ascii=False))
    elif not records:
        click.echo(f"{registry.uri} has no version of {name} yet. `mlp train` registers the first.")
    else:
        _list(project, records)


command.add_command(trust)
command.add_command(verify)


@command.command(epilog="Example: mlp models show sample-model/7")
@click.argument("reference", required=False)
@click.option("--rows", "only_rows", is_flag=True, help="Show the held-out rows with the largest errors instead.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(*, reference: str | None, only_rows: bool, as_json: bool) -> None:
    """Show one version: metrics, errors, features, slices, gate verdict, data contract, lineage.

    REFERENCE is NAME, NAME@alias, NAME/7, @alias or 7; the default is the project's champion.
    """
    from platform_lib.cli.models.diagnostics_page import rows_page
    from platform_lib.cli.models.model_pages import as_dict, page
    from platform_lib.local_login import login_link
    from platform_lib.registry.client import run_page
    from platform_lib.training.documents.address import report_address
    from platform_lib.training.inspection import inspect_version

    registry, name = _open()
    with _reading():
        version = inspect_version(registry, _resolve(registry, reference, name))
    if as_json:
        click.echo(json.dumps(as_dict(version), indent=2, ensure_ascii=False))
    elif only_rows:
        if version.diagnostics is None:
            raise NotFound(
                f"version {version.record.version} has no diagnostics: it was trained with diagnostics=off, or by "
                "another version of the library. Train again with diagnostics=on."
            )
        rows_page(version.diagnostics)
    else:
        page(version)
        if report := report_address(registry, version.record.run_id):
            click.echo(f"\nReport: {login_link(find_project(), report, 'mlflow')}")
        if address := run_page(registry.backend, registry.uri, version.record.run_id):
            click.echo(f"In MLflow: {login_link(find_project(), address, 'mlflow')}")


@command.command(epilog="Example: mlp models diff 6 7")
@click.argument("one")
@click.argument("other")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def diff(*, one: str, other: str, as_json: bool) -> None:
    """Compare two versions: metrics, configuration, lineage.

    ONE and OTHER are NAME, NAME@alias, NAME/7, @alias or 7.
    """
    from platform_lib.cli.models.model_pages import difference_page
    from platform_lib.training.inspection import differences, inspect_version

    registry, name = _open()
    with _reading():
        first, second = (inspect_version(registry, _resolve(registry, text, name)) for text in (one, other))
    found = differences(first, second)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found), indent=2, ensure_ascii=False))
    else:
        difference_page(found)


def _open() -> "tuple[Registry, str]":
    from platform_lib.registry.loading import open_registry

    project = find_project()
    return open_registry(project, load_settings()), project.name


def _reading() -> Any:
    from platform_lib.cli.console import working

    return working("Reading the registry")


def _resolve(registry: "Registry", reference: str | None, name: str) -> "VersionRecord":
    from platform_lib.registry.reference import parse_reference

    return registry.resolve(parse_reference(reference, name))


def _summary(registry: "Registry", record: "VersionRecord") -> dict[str, Any]:
    from platform_lib import lineage

    origin = lineage.from_tags(record.tags)
    if origin.dirty:  # the run names the files
        origin = lineage.from_tags(record.tags, registry.run_tags(record))
    return {
        "name": record.name,
        "version": record.version,
        "aliases": list(record.aliases),
        "model": record.tags.get(VersionTag.MODEL),
        "estimator": record.tags.get(VersionTag.ESTIMATOR),
        "gate": record.verdict,
        "override": None if record.override is None else dataclasses.asdict(record.override),
        "metrics": record.metrics,
        "lineage": dataclasses.asdict(origin),
        "signed_by": record.tags.get(VersionTag.SIGNED_BY),
        "run_id": record.run_id,
        "created_at": record.created_at.isoformat(),
    }


def _list(project: Project, records: "list[VersionRecord]") -> None:
    from platform_lib import lineage
    from platform_lib.cli.console import stdout
    from platform_lib.cli.rendering import moment, number, short, show, table, verdict_text
    from platform_lib.registry.approval import refusal

    console = stdout()
    is_narrow = console.width < _WIDE
    metrics = _main_metrics(records)
    more = () if is_narrow else ("data", "signed")
    headers = ("version", "model", "aliases", "gate", *metrics, "commit", *more, "trained")
    shown = table(
        *headers, numeric=("version", *metrics), fixed=("version", "aliases", "gate", "commit", *more, "trained")
    )
    dirty = False
    for record in records:
        origin = lineage.from_tags(record.tags)
        dirty |= origin.dirty
        aliases = [_alias(record, alias) for alias in record.aliases]
        trained = moment(record.created_at)
        shown.add_row(
            record.version,
            record.tags.get(VersionTag.MODEL, "–"),
            ("\n" if is_narrow else " ").join(aliases) or "–",
            verdict_text(record.tags),
            *(number(record.metrics.get(metric)) for metric in metrics),
            short(origin.git_commit) + ("+" if origin.dirty else ""),
            *(() if is_narrow else (short(origin.data_hash), signed_key(record))),
            trained.split()[0] if is_narrow else trained,
        )
    show(console, shown)
    for record in records:
        for role in sorted({Alias.CHAMPION, Alias.CANARY, Alias.SHADOW} & set(record.aliases)):
            if reason := refusal(record.name, record.version, record.tags, role):
                console.print(f"\nThe {role} does not serve: {reason}", style="bold red")
    if signers := signer_lines(project, records):
        console.print("\n" + "\n".join(signers))
    if dirty:
        console.print("\n+ trained with uncommitted changes, so it cannot be reproduced.")


def _alias(record: "VersionRecord", alias: str) -> str:
    """Format an alias; add the share if it is the canary."""
    percent = record.tags.get(VersionTag.PERCENT)
    return f"{alias} {percent} %" if alias == Alias.CANARY and percent else alias


def _main_metrics(records: "list[VersionRecord]") -> list[str]:
    """Choose at most two metrics that fit in the table: those of the gate first, newest versions first."""
    gated = [str((record.verdict or {}).get("metric")) for record in records if record.verdict]
    others = [name for record in records for name in record.metrics]
    return list(dict.fromkeys([*gated, *others]))[:2]
