"""HTTP health checks of services on this machine."""

from typing import Any

import httpx

from platform_lib.local_login import USER, password, service_password
from platform_lib.settings import Project


def loopback_client() -> httpx.Client:
    """Create an HTTP client for this machine that ignores proxies."""
    return httpx.Client(timeout=3.0, trust_env=False)


def answers(client: httpx.Client, url: str) -> bool:
    """Whether an address returns a success status now."""
    try:
        return client.get(url).is_success
    except httpx.HTTPError:
        return False


def get_json(client: httpx.Client, url: str, login: tuple[str, str] | None = None, **parameters: str) -> Any:
    """Return the JSON at an address; None if there is no JSON response.

    Args:
        client: To ask with.
        url: The address.
        login: User and password. Only for a service that is known to run: another program may listen at its address.
        parameters: Of the query.
    """
    try:
        return client.get(url, params=parameters, auth=login).json()
    except (httpx.HTTPError, ValueError):
        return None


def mlflow_login(project: Project) -> tuple[str, str] | None:
    """Return the user and password of the project's MLflow; None if it never ran."""
    found = password(project)
    return (USER, service_password(found, "mlflow")) if found else None
