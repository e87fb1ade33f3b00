"""Definitions of the local platform's services."""

import sys
from collections.abc import Mapping

from platform_lib.local_login import auth_string, mlflow_variables
from platform_lib.local_platform.service import HOST, START_TIMEOUT_S, Service
from platform_lib.settings import Project


def define(project: Project, ports: Mapping[str, int], password: str) -> list[Service]:
    """Define the platform's services, bound to loopback, with their state in the project's `.mlp/`.

    Args:
        project: The project.
        ports: Service name → port.
        password: What MLflow and Prefect ask of every caller.
    """
    return [
        _mlflow(project, ports["mlflow"], password),
        _prefect(project, ports["prefect"], password),
        _models(project, ports["models"]),
        _runner(project, ports, password),
    ]


def _mlflow(project: Project, port: int, password: str) -> Service:
    return Service(
        name="mlflow",
        command=_python(
            "platform_lib.local_platform.mlflow_server", "--database", str(project.database), "--port", str(port)
        ),
        env=mlflow_variables(password)
        | {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # The job runner takes eight processes and a gigabyte, and nothing here uses it.
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            # The guard checks Host, with any port: forwarding to this machine may start at another one.
            "MLFLOW_SERVER_ALLOWED_HOSTS": f"{HOST},{HOST}:*,localhost,localhost:*,[::1],[[]::1]:*",
        },
        port=port,
        health_path="/health",
    )


def _prefect(project: Project, port: int, password: str) -> Service:
    url = f"http://{HOST}:{port}"
    return Service(
        name="prefect",
        command=_python("platform_lib.local_platform.prefect_server", "--port", str(port)),
        env=_prefect_home(project)
        | {
            "PREFECT_SERVER_API_HOST": HOST,
            "PREFECT_SERVER_API_PORT": str(port),
            # Without it, whoever reaches the port could let the runner start programs.
            "PREFECT_SERVER_API_AUTH_STRING": auth_string(password),
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"{url},http://localhost:{port}",
            "PREFECT_UI_API_URL": f"{url}/api",  # called by the UI in the browser
            "PREFECT_SERVER_UI_V2_ENABLED": "false",  # its pages load a configuration from amplitude.com
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        },
        port=port,
        health_path="/api/health",
    )


def _models(project: Project, port: int) -> Service:
    return Service(
        name="models",
        command=_python("platform_lib.cli", "serve", "--host", HOST, "--port", str(port)),
        # The store itself: MLflow's server, which starts at the same time, could not tell which version is served yet.
        env={"MLFLOW_TRACKING_URI": f"sqlite:///{project.database.as_posix()}"},
        port=port,
        health_path="/healthz",
    )


def _runner(project: Project, ports: Mapping[str, int], password: str) -> Service:
    port = ports["runner"]
    command = _python(
        "platform_lib.training.prefect.runner",
        *("--project", str(project.root)),
        *("--wait", f"{START_TIMEOUT_S:.0f}"),
        *("--health-port", str(port)),
    )
    return Service(
        name="runner",
        command=command,
        env=_prefect_home(project)
        | mlflow_variables(password)
        | {
            "MLFLOW_TRACKING_URI": f"http://{HOST}:{ports['mlflow']}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PREFECT_API_URL": f"http://{HOST}:{ports['prefect']}/api",
            "PREFECT_API_AUTH_STRING": auth_string(password),
        },
        port=port,
        health_path="/health",
        clients_of=("prefect", "mlflow"),
    )


def _prefect_home(project: Project) -> dict[str, str]:
    return {"PREFECT_HOME": str(project.state_dir / "prefect"), "PREFECT_LOGGING_COLORS": "false"}


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)
