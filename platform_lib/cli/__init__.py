"""The command `mlp`: finds the module of a subcommand, runs it, and turns errors into one sentence and an exit code."""

import importlib
import os
import sys

import click

from platform_lib.errors import PlatformError
from platform_lib.names import Env, ExitCode

# name -> (module that defines `command`, help line). The help line stands here so that `mlp --help` imports no command.
COMMANDS: dict[str, tuple[str, str]] = {
    "data": ("platform_lib.cli.project.data", "Import, check, push and pull tables."),
    "train": ("platform_lib.cli.training.train", "Train, evaluate, gate and register a model."),
    "sweep": ("platform_lib.cli.training.sweep", "Search hyper-parameters with inner cross-validation."),
    "models": ("platform_lib.cli.models.models", "List, show and compare registered versions."),
    "promote": ("platform_lib.cli.models.promote", "Make a version that passed the gate the champion."),
    "rollback": ("platform_lib.cli.models.rollback", "Give the champion's place back to the version before."),
    "canary": ("platform_lib.cli.models.canary", "Try a version on a share of the requests."),
    "shadow": ("platform_lib.cli.models.shadow", "Let a version answer in the background, unheard."),
    "predict": ("platform_lib.cli.serving.predict", "Predict a table from a file into a file."),
    "serve": ("platform_lib.cli.serving.serve", "Serve a model over HTTP."),
    "keys": ("platform_lib.cli.serving.keys", "Make, list and revoke API keys of the model server."),
    "lineage": ("platform_lib.cli.training.lineage", "Say what a model came from."),
    "reproduce": ("platform_lib.cli.training.reproduce", "Train a version again from its record and compare."),
    "log": ("platform_lib.cli.serving.log", "Show and tidy the request log of the model server."),
    "image": ("platform_lib.cli.project.image", "Write what the Dockerfile needs to build an image."),
    "up": ("platform_lib.cli.platform.up", "Start the local platform: MLflow, Prefect, model server, schedule runner."),
    "down": ("platform_lib.cli.platform.down", "Stop the local platform."),
    "status": ("platform_lib.cli.platform.status", "Say what of the local platform runs, and where."),
    "schedule": ("platform_lib.cli.training.schedule", "Train on a schedule through the local platform."),
    "deploy": (
        "platform_lib.cli.platform.deploy",
        "Put the model server on the team's platform, try it, go back when it fails.",
    ),
    "tunnel": ("platform_lib.cli.platform.tunnel", "Run a command with the platform's MLflow and Prefect."),
    "platform": ("platform_lib.cli.platform.platform", "Check a running platform, and upgrade its definitions."),
    "check": ("platform_lib.cli.project.check", "Is this project sound?"),
    "doctor": ("platform_lib.cli.project.doctor", "Is this machine able to run it?"),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: mlp data import my.csv --target y && mlp train && mlp serve",
)
@click.version_option(package_name="platform-lib")
def mlp() -> None:
    """Train, gate, register, serve and watch a tabular model."""


def main(args: list[str] | None = None) -> None:
    """Entry point. Exits with a code of `contract.ExitCode`; MLP_DEBUG=1 shows tracebacks."""
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
            f"this is a bug in platform_lib, please report it: {type(err).__name__}: {err}\nMLP_DEBUG=1 shows where it happened.",
            ExitCode.BUG,
        )
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
