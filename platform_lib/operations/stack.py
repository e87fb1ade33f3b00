"""Run a project's `deploy/` program through Pulumi's automation API."""

import os
import runpy
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from platform_lib.errors import ServiceError, UsageError
from platform_lib.names import Env

_NO_PULUMI = (
    "the pulumi CLI is not on PATH: install it (https://www.pulumi.com/docs/install/), then run `pulumi login` "
    "with the "
    "backend of your team's state, such as `pulumi login s3://bucket` or `pulumi login --local`."
)


class DeployStack(Protocol):
    """The operations that `deploy` needs."""

    def preview(self, image: str) -> Mapping[str, int]:
        """Return what `up` would do: operation → number of resources."""

    def up(self, image: str) -> None:
        """Deploy. Raises ServiceError if a resource cannot be created or does not become ready."""

    def outputs(self) -> Mapping[str, Any]:
        """Return the outputs of the last `up`; empty before the first."""


class PulumiStack:
    """The stack of a `deploy/` folder.

    Its program runs in this process; Pulumi's CLI manages the state and providers.
    """

    def __init__(self, folder: Path, name: str, *, say: Callable[[str], None]) -> None:
        """Select the stack; create it if it does not exist.

        Args:
            folder: Folder with Pulumi.yaml and __main__.py.
            name: Name of the stack.
            say: Called with each line of output of Pulumi.
        Raises:
            UsageError: The pulumi CLI, the program or the stack's settings are missing.
            ServiceError: The state backend cannot be reached.
        """
        if not (folder / "__main__.py").is_file():
            raise UsageError(
                f"there is no {folder.name}/ in this project: `copier update --data deploy_target=kubernetes` adds it."
            )
        settings = folder / f"Pulumi.{name}.yaml"
        if not settings.is_file():
            there = sorted(path.name.split(".")[1] for path in folder.glob("Pulumi.*.yaml"))
            raise UsageError(
                f"there is no {settings.name} in {folder.name}/: stacks with settings are "
                f"{', '.join(there) or 'none'}. "
                "Choose one with --stack, or create the file; Pulumi.yaml describes its settings."
            )
        if shutil.which("pulumi") is None:
            raise UsageError(_NO_PULUMI)
        try:
            from pulumi import automation
        except ImportError as err:
            raise UsageError(
                "the Pulumi SDK is not installed: the project needs the extra infra, as in "
                "platform-lib[training,infra]."
            ) from err
        self._folder, self._say = folder, say
        options = automation.LocalWorkspaceOptions(work_dir=str(folder), env_vars={"PULUMI_SKIP_UPDATE_CHECK": "true"})
        project = _project_name(folder)
        with _spoken("selecting the stack"):
            self._stack: Any = automation.create_or_select_stack(
                stack_name=name, project_name=project, program=self._program, opts=options
            )

    def preview(self, image: str) -> Mapping[str, int]:
        """See `DeployStack`."""
        with _image(image), _spoken("the preview"):
            return {
                str(getattr(kind, "value", kind)): count
                for kind, count in self._stack.preview(on_output=self._say).change_summary.items()
            }

    def up(self, image: str) -> None:
        """See `DeployStack`."""
        with _image(image), _spoken("the deployment"):
            self._stack.up(on_output=self._say)

    def outputs(self) -> Mapping[str, Any]:
        """See `DeployStack`."""
        with _spoken("reading the outputs"):
            return {name: output.value for name, output in self._stack.outputs().items()}

    def _program(self) -> None:
        runpy.run_path(str(self._folder / "__main__.py"), run_name="__main__")


def _project_name(folder: Path) -> str:
    import yaml

    return str(yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8"))["name"])


@contextmanager
def _image(image: str) -> Iterator[None]:
    """Set the image for the program, which runs in this process."""
    before = os.environ.get(Env.DEPLOY_IMAGE)
    os.environ[Env.DEPLOY_IMAGE] = image
    try:
        yield
    finally:
        if before is None:
            del os.environ[Env.DEPLOY_IMAGE]
        else:
            os.environ[Env.DEPLOY_IMAGE] = before


@contextmanager
def _spoken(what: str) -> Iterator[None]:
    from pulumi import automation

    try:
        yield
    except automation.ConcurrentUpdateError as err:
        raise ServiceError(
            "another `pulumi` is updating this stack, or one was killed: wait, or run `pulumi cancel` in deploy/."
        ) from err
    except automation.CommandError as err:
        raise ServiceError(f"{what} failed:\n{reason(str(err))}") from err


def reason(text: str) -> str:
    """Extract the error lines from Pulumi's output, without progress lines."""
    lines = [line.strip() for line in text.splitlines()]
    wrong = [line for line in lines if line.lower().startswith(("error:", "* ")) or "error:" in line.lower()]
    kept = list(dict.fromkeys(line for line in wrong if not line.endswith("update failed")))
    return "\n".join((kept or [line for line in lines if line])[-10:])
