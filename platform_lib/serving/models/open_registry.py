"""Open the registry client that fits a tracking URI."""

from platform_lib.serving.models.registry_client import RegistryClient


def open_registry_client(tracking_uri: str) -> RegistryClient:
    """Open the registry at `http(s)://…` or `sqlite:///…`."""
    if tracking_uri.startswith(("http://", "https://")):
        from platform_lib.serving.models.rest_registry import RestRegistryClient  # imports httpx

        return RestRegistryClient(tracking_uri)
    from platform_lib.serving.models.local_registry import LocalRegistryClient

    return LocalRegistryClient(tracking_uri)
