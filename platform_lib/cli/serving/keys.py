"""`mlp keys`: create, list and revoke API keys of the model server."""

import json
from pathlib import Path

import click

from platform_lib.cli.groups import Group, json_option
from platform_lib.errors import NotFound
from platform_lib.settings import find_project

SCOPES = (
    "predict",
    "labels",
    "admin",
)  # serving.keys.SCOPES, which a test compares; importing it here would cost every --help


def _key_file(file: Path | None) -> Path:
    if file is not None:
        return file
    try:
        return find_project().root / "deploy" / "keys.yaml"
    except NotFound:
        return Path("keys.yaml")


_FILE = click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Key file.  [default: deploy/keys.yaml of the project]",
)


@click.group(cls=Group, epilog="Example: mlp keys new checkout-service --scope predict")
def command() -> None:
    """Create, list and revoke API keys of the model server.

    The key file has names, scopes and SHA-256 hashes, never a key, so it can be committed to git. Running servers
    reload it when it changes.
    """


@command.command(epilog="Example: mlp keys new checkout-service --scope predict --scope labels")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("predict",),
    show_default=True,
    help="What the key allows; can be repeated.",
)
@_FILE
def new(name: str, scopes: tuple[str, ...], file: Path | None) -> None:
    """Create a key and print it once, on stdout."""
    from platform_lib.serving.auth.api_keys import new_key

    path = _key_file(file)
    key = new_key(path, name, list(scopes))  # type: ignore[arg-type]
    click.echo(key)
    click.echo(
        f"Its hash is in {path}. Store the key now: it cannot be shown again. Send it as `Authorization: Bearer KEY`.",
        err=True,
    )


@command.command("list", epilog="Example: mlp keys list")
@_FILE
@json_option
def list_(*, file: Path | None, as_json: bool) -> None:
    """List names, scopes and creation dates."""
    from platform_lib.serving.auth.api_keys import read_keys

    path = _key_file(file)
    entries = read_keys(path)
    if as_json:
        keys = [{"name": entry.name, "scopes": list(entry.scopes), "created": entry.created} for entry in entries]
        click.echo(json.dumps(keys, ensure_ascii=False))
        return
    for entry in entries:
        click.echo(f"{entry.name}\t{','.join(entry.scopes)}\t{entry.created}")
    if not entries:
        click.echo(f"{path} has no keys; create one with `mlp keys new NAME`.", err=True)


@command.command(epilog="Example: mlp keys revoke checkout-service")
@click.argument("name")
@_FILE
def revoke(name: str, file: Path | None) -> None:
    """Revoke a key; servers refuse it once they see the changed file."""
    from platform_lib.serving.auth.api_keys import revoke_key

    path = _key_file(file)
    revoke_key(path, name)
    click.echo(f"Revoked {name} in {path}.")
