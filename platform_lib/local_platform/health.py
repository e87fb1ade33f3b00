"""HTTP health checks of services on this machine."""

from typing import Any

import httpx


def loopback_client() -> httpx.Client:
    """Create an HTTP client for this machine that ignores proxies."""
    return httpx.Client(timeout=3.0, trust_env=False)


def answers(client: httpx.Client, url: str) -> bool:
    """Whether an address returns a success status now."""
    try:
        return client.get(url).is_success
    except httpx.HTTPError:
        return False


def get_json(client: httpx.Client, url: str, **parameters: str) -> Any:
    """Return the JSON at an address; None if there is no JSON response."""
    try:
        return client.get(url, params=parameters).json()
    except (httpx.HTTPError, ValueError):
        return None
