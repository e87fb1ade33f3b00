"""What a service of the local platform is: a command, its settings, an address and a sign of life. `starting` runs it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

HOST = "127.0.0.1"
START_TIMEOUT_S = 180.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One program that `mlp up` starts."""

    name: str
    """Key in `.mlp/platform.json`; also names the log file."""
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """What it is told besides the environment of `mlp up`."""
    port: int
    health_path: str
    """Answers 200 once the service does its work."""
    clients_of: tuple[str, ...] = ()
    """Services that it speaks to: it is stopped before them, so that it can still report to them."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def health_url(self) -> str:
        return f"{self.url}{self.health_path}"

    @property
    def fingerprint(self) -> str:
        """Differs when the command or the settings differ: then a running one is not what is wanted any more."""
        text = json.dumps([self.command, dict(self.env)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
