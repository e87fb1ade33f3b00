"""`mlp serve`: serve a registered model over HTTP."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from platform_lib.names import Env, Port
from platform_lib.serving import settings as defaults
from platform_lib.settings import SIGNATURE_MODES, load_settings

Command = TypeVar("Command", bound=Callable[..., Any])


def _setting(
    option: str, variable: str, kind: "click.ParamType[Any]", default: Any, text: str
) -> Callable[[Command], Command]:
    """An option that can also be an environment variable, as in images: `--max-rows` is `MLP_MAX_ROWS`."""
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
    default=defaults.HOST,
    show_default=True,
    help="Address to listen on; any but the loopback address needs --keys or an OIDC issuer.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=defaults.PORT, show_default=True, help="0 takes a free port."
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=defaults.WORKERS, show_default=True, help="Worker processes."
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    envvar=Env.ALLOWED_HOSTS,
    help="On loopback, also accept requests to this name, such as that of a proxy; repeatable.",
)
@_setting(
    "--keys",
    Env.KEYS,
    click.Path(exists=True, dir_okay=False, path_type=Path),
    None,
    "Key file of `mlp keys`: callers then need a key.",
)
@_setting(
    "--signatures",
    Env.SIGNATURES,
    click.Choice(SIGNATURE_MODES),
    None,
    "Verify the signatures of versions: off, warn or require.  [default: warn if there are trusted keys, else off]",
)
@_setting(
    "--signers",
    Env.SIGNERS,
    click.Path(exists=True, dir_okay=False, path_type=Path),
    None,
    "File of the public keys that may sign versions.  [default: deploy/signing.pub, if it exists]",
)
@_setting("--log", Env.LOG, click.STRING, None, "Log requests and predictions to this folder or s3://bucket/prefix.")
@_setting(
    "--log-policy",
    Env.LOG_POLICY,
    click.Choice(get_args(defaults.LogPolicy)),
    defaults.LOG_POLICY,
    "When the log is full: drop and count rows, or make requests wait.",
)
@_setting(
    "--metrics-port",
    Env.METRICS_PORT,
    click.IntRange(0, 65535),
    None,
    f"Serve Prometheus metrics on this port, such as {Port.METRICS:d}.",
)
@click.option(
    "--poll",
    "poll_s",
    type=click.FloatRange(min=0.05),
    default=defaults.POLL_S,
    show_default=True,
    envvar=Env.POLL_S,
    help="Seconds between two polls of the registry's alias.",
)
@_setting(
    "--max-body-mib",
    Env.MAX_BODY_MIB,
    click.FloatRange(0.001),
    defaults.MAX_BODY_MIB,
    "Maximum size of a request's body.",
)
@_setting(
    "--body-memory-mib",
    Env.BODY_MEMORY_MIB,
    click.FloatRange(0.001),
    defaults.BODY_MEMORY_MIB,
    "Request bodies that a worker holds in memory; beyond that, callers get 503 with Retry-After.",
)
@_setting("--max-rows", Env.MAX_ROWS, click.IntRange(1), defaults.MAX_ROWS, "Maximum rows per request.")
@_setting(
    "--concurrency", Env.CONCURRENCY, click.IntRange(1), defaults.CONCURRENCY, "Concurrent predictions per worker."
)
@_setting(
    "--queue",
    Env.QUEUE,
    click.IntRange(0),
    defaults.QUEUE,
    "Requests that may queue; beyond that, callers get 503 with Retry-After.",
)
@_setting(
    "--request-timeout-s",
    Env.REQUEST_TIMEOUT_S,
    click.FloatRange(0.01),
    defaults.REQUEST_TIMEOUT_S,
    "Seconds for one prediction.",
)
@_setting(
    "--body-timeout-s",
    Env.BODY_TIMEOUT_S,
    click.FloatRange(0.01),
    defaults.BODY_TIMEOUT_S,
    "Seconds for a request body to arrive.",
)
@click.option(
    "--cors-origin",
    "cors_allowed_origins",
    multiple=True,
    envvar=Env.CORS_ALLOWED_ORIGINS,
    metavar="ORIGIN",
    help="Let pages of this origin call the server from a browser, such as https://app.example.com. May be repeated.",
)
@_setting(
    "--keep-alive-s",
    Env.KEEP_ALIVE_S,
    click.FloatRange(1),
    defaults.KEEP_ALIVE_S,
    "Seconds that an idle connection stays open; more than a proxy in front of the server keeps its own.",
)
@_setting(
    "--canary-max-failures",
    Env.CANARY_MAX_FAILURES,
    click.FloatRange(0, 100),
    defaults.CANARY_MAX_FAILURES_PERCENT,
    "Percentage of its requests that a canary may fail before it is turned off.",
)
def command(
    reference: str | None,
    host: str,
    port: int,
    workers: int,
    allowed_hosts: tuple[str, ...],
    keys: Path | None,
    signers: Path | None,
    metrics_port: int | None,
    **settings: object,
) -> None:
    """Serve a model over HTTP until Ctrl-C.

    REF is NAME@alias, which the server follows (a promotion needs no restart), or a version number, which it pins.
    The default is the project's champion. If no version is promoted yet, the server starts, reports this at /readyz,
    and serves the first champion as soon as there is one.
    """
    from platform_lib.serving.server import run_server

    options = defaults.ServerOptions(
        reference=reference,
        host=host,
        port=port,
        workers=workers,
        allowed_hosts=allowed_hosts,
        metrics_port=metrics_port,
        settings={
            "keys": str(keys.absolute()) if keys else None,
            "signers": str(signers.absolute()) if signers else None,
            **settings,
        },
    )
    run_server(options, load_settings(), say=_say, note=_note)


def _say(line: str) -> None:
    click.echo(line)


def _note(line: str) -> None:
    click.echo(line, err=True)
