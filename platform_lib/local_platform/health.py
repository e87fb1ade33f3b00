"""Ask a service on this machine whether it is well. What follows from the answer is for the callers."""

from typing import Any

import httpx


def loopback_client() -> httpx.Client:
    """For addresses on this machine: past any proxy."""
    return httpx.Client(timeout=3.0, trust_env=False)


def answers(client: httpx.Client, url: str) -> bool:
    """Whether an address answers with success now."""
    try:
        return client.get(url).is_success
    except httpx.HTTPError:
        return False


def get_json(client: httpx.Client, url: str, **parameters: str) -> Any:
    """What an address answers, None when it does not or not with JSON."""
    try:
        return client.get(url, params=parameters).json()
    except (httpx.HTTPError, ValueError):
        return None
