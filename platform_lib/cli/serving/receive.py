"""`mlp monitor receive`: start a retraining when Alertmanager reports drift or a fallen score."""

from pathlib import Path

import click

from platform_lib.errors import UsageError


@click.command(epilog="Example: mlp monitor receive --port 9095")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=9095, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the token that callers send; made if it does not exist.  [default: .mlp/receiver-token]",
)
@click.option(
    "--log",
    "place",
    default=".mlp/log",
    show_default=True,
    help="Request log with new rows: a folder of the project or s3://bucket/prefix.",
)
def command(*, host: str, port: int, token_file: Path | None, place: str) -> None:
    """Receive alerts from Alertmanager until Ctrl-C, and retrain the project's model on them.

    An alert on drift or on a fallen live score starts one retraining, once per cooldown (conf/monitor.yaml), through
    Prefect where a server is configured and as `mlp retrain` elsewhere. What was accepted is kept in .mlp/receiver.db
    and tried until it starts. Alertmanager calls POST /alerts with the token; GET /metrics counts what was done.
    """
    import logging
    import socket

    import uvicorn

    from platform_lib.monitoring.config import read_monitor_config
    from platform_lib.monitoring.retraining.inbox import Inbox
    from platform_lib.monitoring.retraining.receiver import Receiver, ensure_token, receiver_app
    from platform_lib.monitoring.retraining.retrain import Reason, Started, start
    from platform_lib.monitoring.windows import parse_duration
    from platform_lib.settings import find_project, load_settings

    project = find_project()
    cooldown = parse_duration(read_monitor_config(project).cooldown)
    file = token_file or project.state_dir / "receiver-token"
    token = ensure_token(file)

    def start_one(reason: Reason, key: str) -> Started:
        return start(project, load_settings(), reason, key, log=place)

    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    for chatty in ("httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    receiver = Receiver(
        Inbox(project.state_dir / "receiver.db"),
        start_one,
        model=project.name,
        cooldown_s=cooldown.total_seconds(),
    )
    try:
        listener = socket.create_server((host, port))
    except OSError as err:
        raise UsageError(f"cannot listen on {host} port {port}: {err}. Choose another port with --port.") from err
    config = uvicorn.Config(receiver_app(receiver, token), access_log=False, log_level="warning")
    click.echo(f"Alerts on {project.name}: POST http://{host}:{port}/alerts with the token in {file}.")
    uvicorn.Server(config).run(sockets=[listener])
