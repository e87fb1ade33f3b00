"""The command `mlp`: loads a subcommand on demand and turns errors into one sentence and an exit code."""

import importlib
import os
import sys
from typing import NamedTuple

import click

from platform_lib.errors import PlatformError
from platform_lib.names import Env, ExitCode


class Entry(NamedTuple):
    """One command of `mlp`."""

    module: str
    """Module that defines `command`; imported only when the command runs."""
    help: str
    """Its line in `mlp --help`."""


FAMILIES: dict[str, dict[str, Entry]] = {
    "Data and training": {
        "data": Entry("platform_lib.cli.project.data", "Import, check, push and pull tables."),
        "train": Entry("platform_lib.cli.training.train", "Train, evaluate, gate and register a model."),
        "sweep": Entry("platform_lib.cli.training.sweep", "Search hyperparameters by cross-validation."),
        "schedule": Entry("platform_lib.cli.training.schedule", "Train on a schedule."),
        "lineage": Entry("platform_lib.cli.training.lineage", "Show what a model was made from."),
        "reproduce": Entry("platform_lib.cli.training.reproduce", "Retrain a version from its record and compare."),
    },
    "Models": {
        "models": Entry("platform_lib.cli.models.models", "List, show and compare versions."),
        "promote": Entry("platform_lib.cli.models.promote", "Make a version the champion."),
        "rollback": Entry("platform_lib.cli.models.rollback", "Restore the previous champion."),
        "canary": Entry("platform_lib.cli.models.canary", "Run a version on a share of the requests."),
        "shadow": Entry(
            "platform_lib.cli.models.shadow", "Run a version on live traffic without returning its predictions."
        ),
    },
    "Serving": {
        "serve": Entry("platform_lib.cli.serving.serve", "Serve a model over HTTP."),
        "predict": Entry("platform_lib.cli.serving.predict", "Predict a table from a file into a file."),
        "keys": Entry("platform_lib.cli.serving.keys", "Create, list and revoke API keys."),
        "log": Entry("platform_lib.cli.serving.log", "Show and compact the request log."),
    },
    "Local platform": {
        "up": Entry("platform_lib.cli.platform.up", "Start MLflow, Prefect, the model server and the runner."),
        "down": Entry("platform_lib.cli.platform.down", "Stop the local platform."),
        "status": Entry("platform_lib.cli.platform.status", "Show the local platform's services and models."),
    },
    "Cluster": {
        "image": Entry("platform_lib.cli.project.image", "Prepare the build context of the images."),
        "deploy": Entry("platform_lib.cli.platform.deploy", "Deploy the model server; roll back if it fails."),
        "tunnel": Entry("platform_lib.cli.platform.tunnel", "Run a command against the cluster's MLflow and Prefect."),
        "platform": Entry("platform_lib.cli.platform.platform", "Check a running platform and upgrade its CRDs."),
    },
    "Checks": {
        "check": Entry("platform_lib.cli.project.check", "Check this project."),
        "doctor": Entry("platform_lib.cli.project.doctor", "Check this machine's prerequisites."),
    },
}
"""Title in `mlp --help` → its commands. The help lines are here so that `mlp --help` imports no command."""

COMMANDS: dict[str, Entry] = {name: entry for family in FAMILIES.values() for name, entry in family.items()}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name].module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, family in FAMILIES.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", entry.help) for name, entry in family.items()])


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: mlp data import my.csv --target y && mlp train && mlp serve",
)
@click.version_option(package_name="platform-lib")
def mlp() -> None:
    """Train, gate, register, serve and monitor tabular models."""


def main(args: list[str] | None = None) -> None:
    """Run a command and exit with an `ExitCode`. MLP_DEBUG=1 shows tracebacks."""
    debug = os.environ.get(Env.DEBUG, "") not in ("", "0")
    try:
        code = mlp.main(args=args, standalone_mode=False)
    except PlatformError as err:
        if debug:
            raise
        _fail(str(err), err.exit_code)
    except click.exceptions.Exit as err:
        sys.exit(err.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("stopped.", 130)
    except click.ClickException as err:
        err.show()
        sys.exit(err.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as err:
        if debug:
            raise
        _fail(
            f"this is a bug in platform_lib; please report it: {type(err).__name__}: {err}\n"
            f"Set {Env.DEBUG}=1 to see the traceback.",
            ExitCode.BUG,
        )
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
