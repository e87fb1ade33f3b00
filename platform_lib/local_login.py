"""Login to the services of `mlp up`: a password per project, and links that log a browser in once.

Every service listens on loopback, where each user of the machine and each web page could reach it.
"""

import hashlib
import hmac
import os
import secrets
import time
from urllib.parse import urlsplit

from platform_lib.errors import ServiceError
from platform_lib.files import write_atomically
from platform_lib.settings import Project, Settings, local_service_url, prefect_api_url
from platform_lib.storage_errors import storage_error

USER = "mlp"
TICKET = "ticket"
"""Query parameter of a link that logs in."""
TICKET_S = 12 * 3600
_FILE = "platform-password"


def password(project: Project) -> str | None:
    """Return the password of the project's services; None before the first `mlp up`."""
    try:
        return (project.state_dir / _FILE).read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None


def ensure_password(project: Project, *, renew: bool = False) -> str:
    """Return the password of the project's services. Create it if needed, in a file that only its owner can read.

    Args:
        project: The project.
        renew: Create a new one: what browsers keep of the old one is then worth nothing, even to another user who
            serves pages at the address of a stopped service.
    Raises:
        ServiceError: The file cannot be written.
    """
    file = project.state_dir / _FILE
    found = None if renew else password(project)
    try:
        if found is None or (os.name == "posix" and file.stat().st_mode & 0o077):
            # Others may have read it.
            found = secrets.token_urlsafe(32)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, f"{found}\n", mode=0o600)
    except OSError as err:
        raise storage_error(err, file=file) or ServiceError(
            f"cannot write the password of the local platform to {file}: {err.strerror or err}."
        ) from err
    return found


def service_password(project_password: str, service: str) -> str:
    """Return what one service accepts: its own password, derived from the project's, which no service accepts."""
    return hmac.new(project_password.encode(), service.encode(), hashlib.sha256).hexdigest()


def mlflow_variables(project_password: str) -> dict[str, str]:
    """Return the environment variables from which MLflow's clients take their login."""
    return {
        "MLFLOW_TRACKING_USERNAME": USER,
        "MLFLOW_TRACKING_PASSWORD": service_password(project_password, "mlflow"),
    }


def auth_string(project_password: str) -> str:
    """Return the login as Prefect's settings take it."""
    return f"{USER}:{service_password(project_password, 'prefect')}"


def log_in_to_mlflow(project: Project, uri: str) -> None:
    """Log MLflow's clients of this process in, if `uri` is this project's `mlp up`."""
    found = password(project)
    if found and uri.rstrip("/") == local_service_url(project, "mlflow"):
        os.environ.update(mlflow_variables(found))


def prefect_auth(project: Project, settings: Settings) -> str | None:
    """Return the login for the Prefect API that `settings.prefect_api_url` names, as `user:password`."""
    api_url, local = prefect_api_url(project, settings), local_service_url(project, "prefect")
    found = password(project)
    if local and found and api_url and api_url.rstrip("/") == f"{local}/api":
        return auth_string(found)
    return settings.prefect_auth


def client_environment(project: Project) -> dict[str, str]:
    """Return the environment variables with which other programs use the project's `mlp up`.

    Raises:
        ServiceError: MLflow or Prefect is not running.
    """
    found = password(project)
    mlflow, prefect = local_service_url(project, "mlflow"), local_service_url(project, "prefect")
    if not (found and mlflow and prefect):
        raise ServiceError("the local platform is not running: start it with `mlp up`.")
    prefect_variables = {"PREFECT_API_URL": f"{prefect}/api", "PREFECT_API_AUTH_STRING": auth_string(found)}
    return {"MLFLOW_TRACKING_URI": mlflow, **mlflow_variables(found), **prefect_variables}


def login_link(project: Project, url: str, service: str) -> str:
    """Return a page's address with a ticket that logs one browser in, once; unchanged if `mlp up` does not serve it.

    Args:
        project: Whose `mlp up` may serve the page.
        url: Address of the page.
        service: `mlflow` or `prefect`.
    """
    found, local = password(project), local_service_url(project, service)
    if not found or not local or urlsplit(url)[:2] != urlsplit(local)[:2]:
        return url
    ticket = sign(service_password(found, service), service, TICKET)
    page, _, fragment = url.partition("#")
    return f"{page}{'&' if '?' in page else '?'}{TICKET}={ticket}{'#' if fragment else ''}{fragment}"


def sign(key: str, *purpose: str) -> str:
    """Return a token for a purpose: the time, a random part and a signature."""
    body = f"{int(time.time() * 1000):x}-{secrets.token_hex(8)}"
    return f"{body}-{_signature(key, body, purpose)}"


def signed_at(token: str, key: str, *purpose: str) -> float | None:
    """Return when a token was made, in seconds since the epoch; None if the key or the purpose is another."""
    body, _, signature = token.rpartition("-")
    if not hmac.compare_digest(signature.encode(), _signature(key, body, purpose).encode()):
        return None
    return int(body.partition("-")[0], 16) / 1000


def _signature(key: str, body: str, purpose: tuple[str, ...]) -> str:
    message = "\n".join((*purpose, body))
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()[:32]
