"""`mlp image`: write what the Dockerfile needs apart from the sources."""

import click

from platform_lib.settings import find_project

_BUILD = "docker build --build-arg PYTHON=$(cat build/image/python) --target serve --tag my-model ."


@click.command(epilog=f"Example: mlp image && {_BUILD}")
def command() -> None:
    """Write build/image/: pinned requirements, wheels of packages that no index has, and the commit.

    Versions and hashes come from the lock file. The library is packed as installed here, so the build needs no git.
    `make image` runs this, then builds the image.
    """
    from platform_lib.cli.console import working
    from platform_lib.image.context import CONTEXT_FOLDER, write_context

    project = find_project()
    with working("Reading the lock"):
        context = write_context(project)
    sizes = ", ".join(f"{target} {count} distributions" for target, count in context.distributions.items())
    click.echo(f"{CONTEXT_FOLDER}: Python {context.python}, {sizes}. Build with:")
    click.echo(f"docker build --build-arg PYTHON={context.python} --target serve --tag {project.name}:serve .")
