"""The command `mlp`: loads a subcommand on demand and turns errors into one sentence and an exit code."""

import importlib
import os
import sqlite3
import sys
from typing import NamedTuple

import click

from platform_lib.cli.groups import Group
from platform_lib.errors import PlatformError, StorageError
from platform_lib.names import Env, ExitCode
from platform_lib.storage_errors import storage_error
from platform_lib.user_code import user_frame


class Entry(NamedTuple):
    """One command of `mlp`."""

    module: str
    """Module that defines `command`; imported only when the command runs."""
    help: str
    """Its line in `mlp --help`."""
    unchanged: str = ""
    """What is as it was if a disk or the registry fails while the command runs."""


_VERSIONS = "Registered versions and their files are unchanged."
_TABLES = "Tables, contracts and the selection are complete and as they were."
_MODELS = "No version is lost; `mlp models` shows the champion."
_OUTPUT = "An existing output file is unchanged, because it is replaced only when the new one is complete."


FAMILIES: dict[str, dict[str, Entry]] = {
    "Data and training": {
        "data": Entry("platform_lib.cli.project.data", "Import, check, push and pull tables.", _TABLES),
        "train": Entry("platform_lib.cli.training.train", "Train, evaluate, gate and register a model.", _VERSIONS),
        "retrain": Entry("platform_lib.cli.training.retrain", "Train again for a reason.", _VERSIONS),
        "compare": Entry("platform_lib.cli.training.compare", "Compare several models on the same rows.", _VERSIONS),
        "sweep": Entry("platform_lib.cli.training.sweep", "Search hyperparameters by cross-validation.", _VERSIONS),
        "schedule": Entry("platform_lib.cli.training.schedule", "Train on a schedule.", _VERSIONS),
        "lineage": Entry("platform_lib.cli.training.lineage", "Show what a model was made from."),
        "reproduce": Entry(
            "platform_lib.cli.training.reproduce", "Retrain a version from its record and compare.", _VERSIONS
        ),
    },
    "Models": {
        "models": Entry("platform_lib.cli.models.models", "List, show and compare versions."),
        "report": Entry(
            "platform_lib.cli.models.report", "Show a version's report in a browser, or write it to a file."
        ),
        "promote": Entry("platform_lib.cli.models.promote", "Make a version the champion.", _MODELS),
        "rollback": Entry("platform_lib.cli.models.rollback", "Restore the previous champion.", _MODELS),
        "canary": Entry("platform_lib.cli.models.canary", "Run a version on a share of the requests.", _MODELS),
        "shadow": Entry(
            "platform_lib.cli.models.shadow",
            "Run a version on live traffic without returning its predictions.",
            _MODELS,
        ),
    },
    "Serving": {
        "serve": Entry("platform_lib.cli.serving.serve", "Serve a model over HTTP.", _VERSIONS),
        "predict": Entry("platform_lib.cli.serving.predict", "Predict a table from a file into a file.", _OUTPUT),
        "keys": Entry(
            "platform_lib.cli.serving.keys", "Create, list and revoke API keys.", "The key file is unchanged."
        ),
        "log": Entry("platform_lib.cli.serving.log", "Show and compact the request log.", "No logged row is lost."),
        "monitor": Entry(
            "platform_lib.cli.serving.monitor", "Report drift and the live score.", "No logged row is lost."
        ),
    },
    "Local platform": {
        "up": Entry(
            "platform_lib.cli.platform.up", "Start MLflow, Prefect, the model server and the runner.", _VERSIONS
        ),
        "down": Entry("platform_lib.cli.platform.down", "Stop the local platform."),
        "status": Entry("platform_lib.cli.platform.status", "Show the local platform's services and models."),
        "open": Entry("platform_lib.cli.platform.open", "Open a page of the local platform in a browser."),
    },
    "Cluster": {
        "image": Entry(
            "platform_lib.cli.project.image",
            "Prepare the build context of the images.",
            "The project is unchanged, and `build/image` was removed.",
        ),
        "deploy": Entry("platform_lib.cli.platform.deploy", "Deploy the model server; roll back if it fails."),
        "tunnel": Entry("platform_lib.cli.platform.tunnel", "Run a command against the cluster's MLflow and Prefect."),
        "platform": Entry(
            "platform_lib.cli.platform.platform", "Examine a cluster, check a platform, upgrade its CRDs."
        ),
    },
    "Checks and updates": {
        "check": Entry("platform_lib.cli.project.check", "Check this project."),
        "update": Entry(
            "platform_lib.cli.project.update",
            "Update template and library.",
            "`git reset --hard` restores the commit before the update.",
        ),
        "ci": Entry("platform_lib.cli.project.ci", "Train, comment and scan in CI.", _VERSIONS),
        "doctor": Entry("platform_lib.cli.project.doctor", "Check this machine's prerequisites."),
        "completion": Entry("platform_lib.cli.project.completion", "Complete commands in bash, zsh and fish."),
    },
}
"""Title in `mlp --help` → its commands. The help lines are here so that `mlp --help` imports no command."""

COMMANDS: dict[str, Entry] = {name: entry for family in FAMILIES.values() for name, entry in family.items()}


class _LazyGroup(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name].module).command
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except Exception as err:
            if isinstance(err, click.ClickException | PlatformError) and not isinstance(err, StorageError):
                raise  # its message says what happened
            if isinstance(err, OSError | sqlite3.Error) and user_frame(err) is not None:
                raise
            if (failed := storage_error(err)) is None:
                raise
            entry = COMMANDS.get(ctx.invoked_subcommand or "")
            if failed.is_damage or entry is None or not entry.unchanged:
                raise failed from err
            raise StorageError(f"{failed.problem} {entry.unchanged}", failed.remedy) from err

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
    # Threads of OpenMP that wait by spinning take the cores from the threads that they wait for: on a busy machine,
    # boosting a small table took ten times as long. Must be set before scikit-learn is loaded; child processes inherit.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
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
        if (place := user_frame(err)) is not None:
            _fail(
                f"{place} raised {type(err).__name__}: {err}\nFix the code; set {Env.DEBUG}=1 to see the traceback.",
                ExitCode.USAGE,
            )
        _fail(
            f"this is a bug in platform_lib; please report it: {type(err).__name__}: {err}\n"
            f"Set {Env.DEBUG}=1 to see the traceback.",
            ExitCode.BUG,
        )
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
