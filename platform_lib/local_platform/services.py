"""Definitions of the local platform's services."""

import sys
from collections.abc import Mapping

from platform_lib.local_platform.service import HOST, START_TIMEOUT_S, Service
from platform_lib.settings import Project


def define(project: Project, ports: Mapping[str, int]) -> list[Service]:
    """Define the platform's services, bound to loopback, with their state in the project's `.mlp/`."""
    mlflow_url, prefect_url = f"http://{HOST}:{ports['mlflow']}", f"http://{HOST}:{ports['prefect']}"
    return [
        _mlflow(project, ports["mlflow"]),
        _prefect(project, ports["prefect"]),
        _models(ports["models"], mlflow_url),
        _runner(project, ports["runner"], mlflow_url, prefect_url),
    ]


def _mlflow(project: Project, port: int) -> Service:
    return Service(
        name="mlflow",
        command=_python(
            "platform_lib.local_platform.mlflow_server", "--database", str(project.database), "--port", str(port)
        ),
        env={
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # The job runner takes eight processes and a gigabyte, and nothing here uses it.
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            # Refuse other Host headers: a web page can resolve its own name to this address (DNS rebinding).
            "MLFLOW_SERVER_ALLOWED_HOSTS": f"{HOST}:{port},localhost:{port},{HOST},localhost",
        },
        port=port,
        health_path="/health",
    )


def _prefect(project: Project, port: int) -> Service:
    url = f"http://{HOST}:{port}"
    return Service(
        name="prefect",
        command=_python("prefect", "server", "start"),
        env=_prefect_home(project)
        | {
            "PREFECT_SERVER_API_HOST": HOST,
            "PREFECT_SERVER_API_PORT": str(port),
            "PREFECT_UI_API_URL": f"{url}/api",  # called by the UI in the browser
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        },
        port=port,
        health_path="/api/health",
    )


def _models(port: int, mlflow_url: str) -> Service:
    return Service(
        name="models",
        command=_python("platform_lib.cli", "serve", "--host", HOST, "--port", str(port)),
        env={"MLFLOW_TRACKING_URI": mlflow_url},
        port=port,
        health_path="/healthz",
        clients_of=("mlflow",),
    )


def _runner(project: Project, port: int, mlflow_url: str, prefect_url: str) -> Service:
    return Service(
        name="runner",
        command=_python(
            "platform_lib.training.prefect.runner", "--project", str(project.root), "--wait", f"{START_TIMEOUT_S:.0f}"
        ),
        env=_prefect_home(project)
        | {
            "MLFLOW_TRACKING_URI": mlflow_url,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PREFECT_API_URL": f"{prefect_url}/api",
            # Health check of Prefect's runner: 200 while it polls for runs.
            "PREFECT_RUNNER_SERVER_ENABLE": "true",
            "PREFECT_RUNNER_SERVER_HOST": HOST,
            "PREFECT_RUNNER_SERVER_PORT": str(port),
            # Until its first poll, it responds with 500 and logs a traceback each time.
            "PREFECT_RUNNER_SERVER_LOG_LEVEL": "CRITICAL",
        },
        port=port,
        health_path="/health",
        clients_of=("prefect", "mlflow"),
    )


def _prefect_home(project: Project) -> dict[str, str]:
    return {"PREFECT_HOME": str(project.state_dir / "prefect"), "PREFECT_LOGGING_COLORS": "false"}


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)
