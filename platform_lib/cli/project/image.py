"""`mlp image`: what the Dockerfile needs beside the sources. `image` writes it; docker, podman or buildah builds."""

import click

from platform_lib.settings import find_project


@click.command(
    epilog="Example: mlp image && docker build --build-arg PYTHON=$(cat build/image/python) --target serve --tag my-model ."
)
def command() -> None:
    """Write build/image/: pinned requirements of the images, wheels of what no package index has, and the commit.

    Versions and hashes are the lock's. The library is packed as it is installed here, so an image needs no git. `make image` does this, then builds.
    """
    from platform_lib.cli.console import working
    from platform_lib.image.context import CONTEXT_FOLDER, write_context

    project = find_project()
    with working("Reading the lock"):
        context = write_context(project)
    sizes = ", ".join(f"{target} {count} distributions" for target, count in context.distributions.items())
    click.echo(f"{CONTEXT_FOLDER}: Python {context.python}, {sizes}. Build with:")
    click.echo(f"docker build --build-arg PYTHON={context.python} --target serve --tag {project.name}:serve .")
