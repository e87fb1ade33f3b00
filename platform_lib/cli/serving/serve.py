"""`mlp serve`: answer over HTTP with a registered model. The work is `serving`'s."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from platform_lib.names import Env, Port
from platform_lib.settings import load_settings

Command = TypeVar("Command", bound=Callable[..., Any])


def _setting(
    option: str, variable: str, kind: click.ParamType[Any], default: Any, text: str
) -> Callable[[Command], Command]:
    """An option that the environment may give too, as images do: `--max-rows` is `MLP_MAX_ROWS`."""
    return click.option(
        option, type=kind, default=default, show_default=default is not None, envvar=variable, help=text
    )


_EXAMPLES = (
    "Example: mlp serve --port 8080",
    "Example: mlp serve 7 --log .mlp/log",
    "Example: mlp serve --host 0.0.0.0 --keys deploy/keys.yaml --metrics-port 9000",
)


@click.command(epilog="\n\n".join(_EXAMPLES))
@click.argument("reference", required=False, metavar="[REF]")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; others than this machine's own need --keys or an issuer.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=Port.MODEL_SERVER, show_default=True, help="0 takes a free one."
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that answer.")
@_setting(
    "--keys",
    Env.KEYS,
    click.Path(exists=True, dir_okay=False, path_type=Path),
    None,
    "Key file of `mlp keys`: callers need a key.",
)
@_setting("--log", Env.LOG, click.STRING, None, "Keep requests and answers in this folder or s3://bucket/prefix.")
@_setting(
    "--log-policy",
    Env.LOG_POLICY,
    click.Choice(["drop", "block"]),
    "drop",
    "When the log is full: count and go on, or make requests wait.",
)
@_setting(
    "--metrics-port",
    Env.METRICS_PORT,
    click.IntRange(0, 65535),
    None,
    f"Show Prometheus metrics on this port, such as {Port.METRICS:d}.",
)
@click.option(
    "--poll",
    "poll_s",
    type=click.FloatRange(min=0.05),
    default=2.0,
    show_default=True,
    envvar=Env.POLL_S,
    help="Seconds between two looks at the registry's alias.",
)
@_setting("--max-body-mib", Env.MAX_BODY_MIB, click.FloatRange(0.001), 16.0, "Larger bodies are refused.")
@_setting("--max-rows", Env.MAX_ROWS, click.IntRange(1), 10_000, "Rows that a request may hold.")
@_setting("--concurrency", Env.CONCURRENCY, click.IntRange(1), 4, "Predictions at the same time, a worker.")
@_setting(
    "--queue", Env.QUEUE, click.IntRange(0), 256, "Requests that may wait for their turn; more are told to come again."
)
@_setting("--request-timeout-s", Env.REQUEST_TIMEOUT_S, click.FloatRange(0.01), 30.0, "Seconds for one answer.")
@_setting("--body-timeout-s", Env.BODY_TIMEOUT_S, click.FloatRange(0.01), 20.0, "Seconds for a body to arrive.")
@_setting(
    "--canary-max-failures",
    Env.CANARY_MAX_FAILURES,
    click.FloatRange(0, 100),
    5.0,
    "Percent of its requests that a canary may fail before it is switched off.",
)
def command(
    reference: str | None,
    host: str,
    port: int,
    workers: int,
    keys: Path | None,
    metrics_port: int | None,
    **settings: object,
) -> None:
    """Serve a model over HTTP until Ctrl-C.

    REF is NAME@alias (followed: a promotion is taken up without a restart) or a version number (pinned); without it the project's champion is
    served. With nothing promoted yet the server starts, says so at /readyz, and takes the first champion up as it comes.
    """
    from platform_lib.serving.server import ServerOptions, run_server

    options = ServerOptions(
        reference=reference,
        host=host,
        port=port,
        workers=workers,
        metrics_port=metrics_port,
        settings={"keys": str(keys.absolute()) if keys else None, **settings},
    )
    run_server(options, load_settings(), say=_say, note=_note)


def _say(line: str) -> None:
    click.echo(line)


def _note(line: str) -> None:
    click.echo(line, err=True)
