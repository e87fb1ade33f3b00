"""Pods of the Prefect server and its workers, as plain data: commands, environments and probes."""

import json
from importlib.resources import files
from typing import Any

from platform_lib.infra.base.labels import labels, selector
from platform_lib.infra.base.naming import short
from platform_lib.infra.base.pod_settings import PodSettings
from platform_lib.infra.base.sizing import Resources
from platform_lib.infra.kubernetes import service_pod
from platform_lib.infra.prefect.job import PENDING_LIMIT_S
from platform_lib.names import PREFECT_AUTH_KEY, PREFECT_AUTH_SECRET, Env, Port

SERVER = "prefect-server"
SERVER_LABELS, SERVER_SELECTOR = labels(SERVER, "server"), selector(SERVER, "server")
_WORKER_PORT = 8080
_CODE, _UI = "/etc/mlp/code", "/ui_build"
_QUIET = {
    "PREFECT_HOME": "/tmp/prefect",
    "HOME": "/tmp",
    "USER": "prefect",  # the image has no user name for the user ID
    "PREFECT_LOGGING_COLORS": "false",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def worker_name(team: str) -> str:
    """Return the name of a team's worker, which is also the value of its labels."""
    return short(f"prefect-worker-{team}")


def server_template(
    *,
    image: Any,
    ui_host: str,
    database_secret: Any,
    service_account: Any,
    size: Resources,
    settings: PodSettings,
    proxy: dict[str, str],
) -> dict[str, Any]:
    """Build the pod of the server: init containers create the database and its schema, then the server starts.

    API, pages and background services run in one process, because events pass between them in memory. Separate
    processes would need Redis; without it no task run would be recorded and no automation would run.
    """
    values = {
        **_QUIET,
        "PREFECT_SERVER_API_HOST": "0.0.0.0",
        "PREFECT_SERVER_API_PORT": str(int(Port.PREFECT)),
        "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
        "PREFECT_SERVER_METRICS_ENABLED": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"https://{ui_host}",
        "PREFECT_SERVER_UI_API_URL": f"https://{ui_host}/api",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": _UI,
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_UI_V2_ENABLED": "false",  # its pages load a configuration from amplitude.com
        **proxy,
    }
    secrets = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": (database_secret, "asyncpg_uri"),
        "PREFECT_SERVER_API_AUTH_STRING": (PREFECT_AUTH_SECRET, PREFECT_AUTH_KEY),
    }
    env = service_pod.environment(values, secrets)
    mounts = {"tmp": "/tmp", "ui": _UI}
    code = (files("platform_lib.infra.prefect") / "in_image" / "prefect_database.py").read_text(encoding="utf-8")
    database = service_pod.container("database", image, ["python", "-c", code], env, mounts, size)
    migrate = service_pod.container(
        "migrate", image, ["prefect", "server", "database", "upgrade", "-y"], env, mounts, size
    )
    server = service_pod.container(
        SERVER,
        image,
        ["prefect", "server", "start"],
        env,
        mounts,
        size,
        ports=[{"name": "http", "containerPort": int(Port.PREFECT)}],
        **service_pod.probes("/api/health", ready_path="/api/ready"),
    )
    volumes: dict[str, Any] = {"tmp": {"emptyDir": {"sizeLimit": "1Gi"}}, "ui": {"emptyDir": {"sizeLimit": "256Mi"}}}
    return service_pod.pod_template(
        SERVER_LABELS,
        SERVER_SELECTOR,
        [server],
        volumes,
        service_account=service_account,
        settings=settings,
        init_containers=[database, migrate],
    )


def worker_files(template: dict[str, Any]) -> dict[str, str]:
    """Return the data of a worker's ConfigMap."""
    code = (files("platform_lib.infra.prefect") / "in_image" / "prefect_pool.py").read_text(encoding="utf-8")
    return {"prefect_pool.py": code, "job.json": json.dumps(template, indent=1, sort_keys=True)}


def worker_template(
    *,
    image: Any,
    team: str,
    namespace: str,
    api_url: str,
    cluster: str,
    code_config_map: Any,
    service_account: Any,
    size: Resources,
    settings: PodSettings,
) -> dict[str, Any]:
    """Build the pod of a team's worker: an init container updates the work pool, then the worker runs flows as Jobs.

    Args:
        image: Image of Prefect.
        team: Name of the team and of its work pool.
        namespace: Namespace of the team, where its Jobs run.
        api_url: Address of the Prefect API.
        cluster: Name of the cluster in Prefect's events.
        code_config_map: Name of the ConfigMap with `worker_files`.
        service_account: Name of the service account.
        size: CPU and memory.
        settings: Nodes, annotations and pull secrets.
    """
    kubernetes = "PREFECT_INTEGRATIONS_KUBERNETES"
    values = {
        **_QUIET,
        "PYTHONPATH": _CODE,
        "PREFECT_API_URL": api_url,
        "PREFECT_WORKER_WEBSERVER_HOST": "0.0.0.0",
        "PREFECT_WORKER_WEBSERVER_PORT": str(_WORKER_PORT),
        f"{kubernetes}_CLUSTER_UID": cluster,
        f"{kubernetes}_OBSERVER_NAMESPACES": namespace,
        f"{kubernetes}_WORKER_API_AUTH_STRING_SECRET_NAME": PREFECT_AUTH_SECRET,
        f"{kubernetes}_WORKER_API_AUTH_STRING_SECRET_KEY": PREFECT_AUTH_KEY,
        Env.WORK_POOL: team,
        Env.JOB_TEMPLATE: f"{_CODE}/job.json",
        Env.PENDING_LIMIT_S: str(PENDING_LIMIT_S),
    }
    env = service_pod.environment(values, {"PREFECT_API_AUTH_STRING": (PREFECT_AUTH_SECRET, PREFECT_AUTH_KEY)})
    mounts = {"code": _CODE, "tmp": "/tmp"}
    pool = service_pod.container("pool", image, ["python", "-m", "prefect_pool"], env, mounts, size)
    command = ["prefect", "worker", "start", "--pool", team, "--type", "kubernetes", "--name", worker_name(team)]
    worker = service_pod.container(
        "worker",
        image,
        [*command, "--install-policy", "never", "--with-healthcheck"],
        env,
        mounts,
        size,
        ports=[{"name": "http", "containerPort": _WORKER_PORT}],
        **service_pod.probes("/health"),
    )
    volumes: dict[str, Any] = {
        "code": {"configMap": {"name": code_config_map}},
        "tmp": {"emptyDir": {"sizeLimit": "1Gi"}},
    }
    return service_pod.pod_template(
        labels(worker_name(team), "worker"),
        selector(worker_name(team), "worker"),
        [worker],
        volumes,
        service_account=service_account,
        settings=settings,
        init_containers=[pool],
        needs_api_token=True,
    )
