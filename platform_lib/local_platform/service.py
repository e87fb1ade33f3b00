"""A service of the local platform: its command, environment, address and health check."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

HOST = "127.0.0.1"
START_TIMEOUT_S = 180.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A program that `mlp up` starts."""

    name: str
    """Key in `.mlp/platform.json`; also names the log file."""
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment variables in addition to those of `mlp up`."""
    port: int
    health_path: str
    """Path that returns 200 once the service is ready."""
    clients_of: tuple[str, ...] = ()
    """Services that it calls. It is stopped before them, so that it can still report to them."""

    @property
    def url(self) -> str:
        """Address on this machine."""
        return f"http://{HOST}:{self.port}"

    @property
    def health_url(self) -> str:
        """Address of the health check."""
        return f"{self.url}{self.health_path}"

    @property
    def fingerprint(self) -> str:
        """Hash of command and environment; a running service with another one must be restarted."""
        text = json.dumps([self.command, dict(self.env)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
