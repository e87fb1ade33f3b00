"""`mlp deploy`: build the image, deploy it, smoke-test it, and roll back if that fails."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from platform_lib.errors import UsageError
from platform_lib.names import Env, Port
from platform_lib.settings import find_project

if TYPE_CHECKING:
    from platform_lib.settings import Project

_EXAMPLES = (
    "Example: mlp deploy --repository registry.example.com/red/churn-model",
    "Example: mlp deploy --image registry.example.com/red/churn-model@sha256:… --yes",
)


@click.command(epilog="\n\n".join(_EXAMPLES))
@click.option("--stack", help="Stack, configured in deploy/Pulumi.STACK.yaml.  [default: the only one]")
@click.option("--image", help="Deploy this image, NAME@sha256:…, instead of building one.")
@click.option(
    "--repository",
    envvar=Env.IMAGE_REPOSITORY,
    help="Repository to push the built image to, without a tag (MLP_IMAGE_REPOSITORY).",
)
@click.option(
    "--builder",
    type=click.Choice(["docker", "podman", "buildah"]),
    help="Image builder.  [default: the first that works here]",
)
@click.option("--preview", "only_preview", is_flag=True, help="Show what would change, then stop.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation; required in CI.")
@click.option(
    "--skip-smoke-test", is_flag=True, help="Do not call the deployed model, for machines that cannot reach it."
)
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CA certificate of the platform, if it is not a public one.",
)
def command(
    *,
    stack: str | None,
    image: str | None,
    repository: str | None,
    builder: str | None,
    only_preview: bool,
    yes: bool,
    skip_smoke_test: bool,
    ca_file: Path | None,
) -> int:
    """Deploy this project's model server to the platform.

    Builds and pushes the `serve` image of the Dockerfile, or uses --image; shows what would change; deploys; then calls
    the model at its address (and requests a prediction if MLP_API_KEY is set). If the deployment or this smoke test
    fails, the previous image is deployed again and the exit code is not 0. The server follows the registry's champion:
    a promotion needs no deployment unless deploy/ pins a version.
    """
    from platform_lib.operations.deploy import deploy
    from platform_lib.operations.images import is_pinned
    from platform_lib.operations.settings import find_stack, stack_settings
    from platform_lib.operations.stack import PulumiStack

    project = find_project()
    folder = project.root / "deploy"
    name = find_stack(folder, stack)
    if image and not is_pinned(image):
        raise UsageError(
            f"--image is {image!r}, expected an image by digest, NAME@sha256:…; a tag can point to another image later."
        )
    if not image and not repository:
        raise UsageError(
            f"no repository to push the image to: set --repository or {Env.IMAGE_REPOSITORY}, or deploy an image "
            "with --image."
        )
    if not yes and not only_preview and not sys.stdin.isatty():
        raise UsageError("cannot ask for confirmation without a terminal: use --yes to deploy, or --preview to look.")
    deployed = PulumiStack(folder, name, say=_note)
    built = image or _build(project, str(repository), builder or "")

    def agree(changes: Mapping[str, int], before: str) -> bool:
        click.echo(f"Running: {before or 'nothing'}. New: {built}. Changes: {_changes(changes)}.")
        return not only_preview and (yes or click.confirm("Deploy?"))

    def smoke(outputs: Mapping[str, Any]) -> None:
        if not skip_smoke_test:
            _try(outputs, project, str(stack_settings(folder, name).get("context") or ""), ca_file)

    result = deploy(deployed, built, smoke=smoke, agree=agree, say=_note)
    if result is not None:
        click.echo(f"{project.name} is serving at {result.url or result.service_url} from {result.image}.")
    return 0


def _build(project: "Project", repository: str, builder: str) -> str:
    from platform_lib.image.context import write_context
    from platform_lib.operations.images import build_and_push, find_builder
    from platform_lib.operations.revision import image_tag

    found = find_builder(builder)
    build_args = {"PYTHON": write_context(project).python}
    return build_and_push(found, project.root, repository, image_tag(project.root), build_args=build_args, say=_note)


def _try(outputs: Mapping[str, Any], project: "Project", context: str, ca_file: Path | None) -> None:
    from platform_lib.operations.kubectl import Kubectl, Target, forwarded
    from platform_lib.operations.smoke import smoke_test

    key = os.environ.get(Env.API_KEY) or None
    if url := str(outputs.get("url") or ""):
        smoke_test(url, key=key, authority=ca_file, say=_note)
        return
    target = Target(namespace=str(outputs["namespace"]), name=f"svc/{project.name}", port=Port.MODEL_SERVER)
    with forwarded(Kubectl(context), target) as local:
        smoke_test(local, key=key, say=_note)


def _changes(changes: Mapping[str, int]) -> str:
    told = [f"{count} {kind}" for kind, count in changes.items() if kind != "same" and count]
    return ", ".join(told) or "none"


def _note(line: str) -> None:
    click.echo(line.rstrip("\n"), err=True)
