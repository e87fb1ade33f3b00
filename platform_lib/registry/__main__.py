"""`python -m platform_lib.registry resolve --tracking-uri URI REF`: for programs that should not import MLflow."""

import json
import sys
from pathlib import Path

import click

from platform_lib.errors import PlatformError
from platform_lib.storage_errors import storage_error


@click.group()
def main() -> None:
    """Query the registry from another process. Output is JSON."""


@main.command()
@click.argument("reference")
@click.option("--tracking-uri", required=True, help="sqlite:///… or the address of an MLflow server.")
@click.option(
    "--target",
    type=click.Path(path_type=Path),
    help="Copy the files to this folder. By default, local files stay where they are, and others go to the cache.",
)
@click.option("--without-files", is_flag=True, help="Only print which version it is; `folder` is null.")
def resolve(reference: str, tracking_uri: str, target: Path | None, *, without_files: bool) -> None:
    """Print {name, version, folder, tags} of the version that REFERENCE names."""
    from platform_lib.registry.versions import Registry

    registry = Registry(tracking_uri)
    record = registry.resolve(reference)
    folder = None if without_files else str(registry.folder(record, target))
    click.echo(json.dumps({"name": record.name, "version": record.version, "folder": folder, "tags": record.tags}))


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except PlatformError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:
        if (known := storage_error(error)) is None:
            raise
        click.echo(str(known), err=True)
        sys.exit(known.exit_code)
