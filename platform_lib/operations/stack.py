"""A project's `deploy/` through Pulumi's automation API: preview, up, outputs. `deploy` decides what to do with them."""

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
    "the pulumi CLI is not on PATH: install it (https://www.pulumi.com/docs/install/), then `pulumi login` to where your team keeps the state of its "
    "stacks, such as `pulumi login s3://bucket` or `pulumi login --local`."
)


class DeployStack(Protocol):
    """What `deploy` needs of an engine."""

    def preview(self, image: str) -> Mapping[str, int]:
        """What `up` would do: operation → number of resources."""

    def up(self, image: str) -> None:
        """Make it so. Raises ServiceError when something could not be made or did not become ready."""

    def outputs(self) -> Mapping[str, Any]:
        """Of the last `up`; empty before the first."""


class PulumiStack:
    """The stack of a `deploy/` folder. Its program runs in this process; the CLI keeps the state and calls the providers."""

    def __init__(self, folder: Path, name: str, *, say: Callable[[str], None]) -> None:
        """Select the stack, or make it.

        Args:
            folder: With Pulumi.yaml and __main__.py.
        Raises:
            UsageError: There is no pulumi CLI, no program, or no settings of this stack.
            ServiceError: The state cannot be reached.
        """
        if not (folder / "__main__.py").is_file():
            raise UsageError(
                f"there is no {folder.name}/ in this project: `copier update --data deploy_target=kubernetes` brings it."
            )
        settings = folder / f"Pulumi.{name}.yaml"
        if not settings.is_file():
            there = sorted(path.name.split(".")[1] for path in folder.glob("Pulumi.*.yaml"))
            raise UsageError(
                f"there is no {settings.name} in {folder.name}/: stacks with settings are {', '.join(there) or 'none'}. Name one with "
                "--stack, or write the file; Pulumi.yaml describes what may stand in it."
            )
        if shutil.which("pulumi") is None:
            raise UsageError(_NO_PULUMI)
        try:
            from pulumi import automation
        except ImportError as err:
            raise UsageError(
                "Pulumi's library is not installed: the project's pin needs the extra infra, as in platform-lib[training,infra]."
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
    """The program runs in this process, so it reads this environment."""
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
            "another `pulumi` works on this stack, or one was killed in the middle: wait, or run `pulumi cancel` in deploy/."
        ) from err
    except automation.CommandError as err:
        raise ServiceError(f"{what} failed:\n{reason(str(err))}") from err


def reason(text: str) -> str:
    """The lines of Pulumi's output that say why, without those that say how far it came."""
    lines = [line.strip() for line in text.splitlines()]
    wrong = [line for line in lines if line.lower().startswith(("error:", "* ")) or "error:" in line.lower()]
    kept = list(dict.fromkeys(line for line in wrong if not line.endswith("update failed")))
    return "\n".join((kept or [line for line in lines if line])[-10:])
