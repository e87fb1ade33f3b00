"""The pod of the shared MLflow, as plain data: command, environment, probes and volumes."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from platform_lib.infra.base.access import S3Access
from platform_lib.infra.base.labels import labels, selector
from platform_lib.infra.base.mirrors import CA_CONFIG_MAP, CA_FOLDER
from platform_lib.infra.base.pod_settings import PodSettings
from platform_lib.infra.base.sizing import Resources
from platform_lib.infra.kubernetes import service_pod
from platform_lib.names import Env, Port

NAME = "mlflow"
LABELS, SELECTOR = labels(NAME, "server"), selector(NAME, "server")
APP = "mlp"
"""Application for `--app-name`, defined by the entry point in `code_files`."""
_CODE, _ACCESS, _ARTIFACTS = "/etc/mlp/code", "/etc/mlp/access", "/var/lib/mlflow"
ACCESS_KEY = "access.json"
_WORKERS = 2
_ENTRY_POINTS = f"[mlflow.app]\n{APP} = mlflow_access:create_app\n"
_ENTRY_POINTS_PATH = "mlp_access-1.dist-info/entry_points.txt"


def code_files() -> dict[str, str]:
    """Return the files that run inside the official image, as data of a ConfigMap."""
    folder = files("platform_lib.infra.mlflow") / "in_image"
    made = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.startswith("mlflow_")}
    return dict(sorted(made.items())) | {"entry_points.txt": _ENTRY_POINTS}


def code_items() -> list[dict[str, str]]:
    """Return the path of each file in the mount. Python expects the entry point in the folder of a distribution."""
    return [
        {"key": name, "path": _ENTRY_POINTS_PATH if name == "entry_points.txt" else name}
        for name in sorted(code_files())
    ]


def allowed_hosts(ui_host: str, namespace: str) -> list[str]:
    """Return the accepted Host headers: public name, the Service's, forwarded ports. The gate accepts addresses."""
    service = [NAME, f"{NAME}.{namespace}", f"{NAME}.{namespace}.svc", f"{NAME}.{namespace}.svc.cluster.local"]
    local = ["localhost:*", "127.0.0.1:*"]
    return [ui_host, *service, *(f"{name}:{int(Port.MLFLOW)}" for name in service), *local]


def server_command(ui_host: str, namespace: str, artifacts_uri: str) -> list[str]:
    """Return the command of the container; tests run the same command.

    Args:
        ui_host: Public host name of the pages.
        namespace: Namespace of the server.
        artifacts_uri: `s3://bucket/prefix`; empty for the volume. Clients go through the server and need no keys.
    """
    return [
        "mlflow",
        "server",
        "--app-name",
        APP,
        "--host",
        "0.0.0.0",
        "--port",
        str(int(Port.MLFLOW)),
        "--workers",
        str(_WORKERS),
        "--serve-artifacts",
        "--artifacts-destination",
        artifacts_uri or _ARTIFACTS,
        "--allowed-hosts",
        ",".join(allowed_hosts(ui_host, namespace)),
        # Browsers send this origin with every request of the pages; SDKs send no origin.
        "--cors-allowed-origins",
        f"https://{ui_host}",
        "--expose-prometheus",
        "/tmp/metrics",
    ]


def server_environment(
    database_secret: Any,
    artifacts: S3Access | None,
    *,
    proxy: dict[str, str],
    has_ca_bundle: bool = False,
) -> list[dict[str, Any]]:
    """Build the environment of the server. Secrets are referenced, never written.

    Args:
        database_secret: Name of the Secret with the key `uri`.
        artifacts: Bucket for artifacts; None for a volume.
        proxy: HTTP_PROXY and related variables.
        has_ca_bundle: Whether the bucket, or the proxy in front of it, may use a certificate of a private CA.
    """
    # boto3 reads a single file, so the init container merges the public CAs and the platform's CA bundle into one.
    trust = {Env.CA_FILE: f"{CA_FOLDER}/ca.crt", "AWS_CA_BUNDLE": "/tmp/ca-bundle.pem"} if has_ca_bundle else {}
    values = {
        "HOME": "/tmp",
        "USER": NAME,  # the image has no user name for the user ID
        "PYTHONPATH": _CODE,
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        Env.ACCESS_FILE: f"{_ACCESS}/{ACCESS_KEY}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # The job runner, which the platform does not use, takes eight processes and 1 GiB of memory.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_S3_ENDPOINT_URL": artifacts.endpoint if artifacts else "",
        "AWS_DEFAULT_REGION": artifacts.region if artifacts else "",
        **proxy,
        **trust,
    }
    secrets: dict[str, tuple[Any, str]] = {"MLFLOW_BACKEND_STORE_URI": (database_secret, "uri")}
    if artifacts and artifacts.secret:
        secrets |= {
            "AWS_ACCESS_KEY_ID": (artifacts.secret, "access_key_id"),
            "AWS_SECRET_ACCESS_KEY": (artifacts.secret, "secret_access_key"),
        }
    return service_pod.environment(values, secrets)


def pod_template(
    *,
    image: Any,
    command: Sequence[str],
    env: Any,
    code_config_map: Any,
    access_secret: Any,
    artifact_claim: Any,
    service_account: Any,
    size: Resources,
    settings: PodSettings,
    has_ca_bundle: bool = False,
) -> dict[str, Any]:
    """Build the pod template: an init container migrates the schema, one replica at a time; then the server starts."""
    mounts = {"code": _CODE, "tmp": "/tmp"}
    volumes: dict[str, dict[str, Any]] = {
        "code": {"configMap": {"name": code_config_map, "items": code_items()}},
        "access": {"secret": {"secretName": access_secret, "defaultMode": 0o440}},
        "tmp": {"emptyDir": {"sizeLimit": "2Gi"}},  # small: artifacts pass through in pieces
    }
    if has_ca_bundle:
        volumes[CA_CONFIG_MAP] = {"configMap": {"name": CA_CONFIG_MAP}}
        mounts[CA_CONFIG_MAP] = CA_FOLDER
    server_mounts = mounts | {"access": _ACCESS}
    if artifact_claim is not None:
        volumes["artifacts"] = {"persistentVolumeClaim": {"claimName": artifact_claim}}
        server_mounts["artifacts"] = _ARTIFACTS
    migrate = service_pod.container("migrate", image, ["python", "-m", "mlflow_access"], env, mounts, size)
    server = service_pod.container(
        NAME,
        image,
        command,
        env,
        server_mounts,
        size,
        ports=[{"name": "http", "containerPort": int(Port.MLFLOW)}],
        **service_pod.probes("/health"),
        lifecycle={"preStop": {"sleep": {"seconds": 5}}},  # until Traefik and kube-proxy stop sending requests
    )
    return service_pod.pod_template(
        LABELS,
        SELECTOR,
        [server],
        volumes,
        service_account=service_account,
        settings=settings,
        init_containers=[migrate],
    )
