"""CPU, memory, replicas and storage of each part of the platform, by installation size. Creates no resource.

Sources: the charts' own defaults and notes (Traefik 200m/128Mi, cert-manager 50m/128Mi, oauth2-proxy 50m/64Mi,
Prometheus 500m/2Gi);
the servers of MLflow and Prefect, measured idle with one worker process: 450 MiB and 330 MiB of memory.
For stateful parts the memory limit equals the request, so that a full node does not kill them; CPU may burst.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from platform_lib.infra.base.setting_rules import one_of

Size = Literal["small", "standard", "large"]
SIZES: Final = get_args(Size)
SIZE: Final = one_of(*SIZES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """Requests and limits of one container, and the number of replicas."""

    cpu_millis: int
    memory_mib: int
    cpu_limit_millis: int
    memory_limit_mib: int
    replicas: int = 1

    @property
    def requirements(self) -> dict[str, dict[str, str]]:
        """The container's `resources`."""
        return {
            "requests": {"cpu": f"{self.cpu_millis}m", "memory": f"{self.memory_mib}Mi"},
            "limits": {"cpu": f"{self.cpu_limit_millis}m", "memory": f"{self.memory_limit_mib}Mi"},
        }


def _of(cpu: int, memory: int, cpu_limit: int, memory_limit: int, replicas: int = 1) -> Resources:
    return Resources(
        cpu_millis=cpu, memory_mib=memory, cpu_limit_millis=cpu_limit, memory_limit_mib=memory_limit, replicas=replicas
    )


# part → size → resources. `small` fits a laptop with 8 GiB; `standard` runs two replicas where possible; `large` gives
# each replica twice the CPU and memory of `standard`, and three replicas where `standard` has two.
RESOURCES: Final[Mapping[str, Mapping[str, Resources]]] = {
    "traefik": {
        "small": _of(50, 96, 500, 256),
        "standard": _of(200, 128, 2000, 512, 2),
        "large": _of(400, 256, 4000, 1024, 3),
    },
    "cert-manager": {
        "small": _of(10, 64, 200, 128),
        "standard": _of(50, 128, 500, 256, 2),
        "large": _of(100, 256, 1000, 512, 3),
    },
    "oauth2-proxy": {
        "small": _of(10, 32, 200, 64),
        "standard": _of(50, 64, 500, 128, 2),
        "large": _of(100, 128, 1000, 256, 3),
    },
    "postgres": {
        "small": _of(100, 512, 1000, 512),
        "standard": _of(1000, 4096, 4000, 4096, 3),
        "large": _of(2000, 8192, 8000, 8192, 3),
    },
    "mlflow": {
        "small": _of(100, 768, 1000, 1536),
        "standard": _of(500, 1536, 2000, 3072, 2),
        "large": _of(1000, 3072, 4000, 6144, 3),
    },
    "prefect-server": {
        "small": _of(100, 512, 1000, 1024),
        "standard": _of(500, 1024, 2000, 2048, 2),
        "large": _of(1000, 2048, 4000, 4096, 3),
    },
    "prefect-services": {
        "small": _of(50, 384, 500, 768),
        "standard": _of(200, 512, 1000, 1024),
        "large": _of(400, 1024, 2000, 2048),
    },
    "prefect-worker": {
        "small": _of(50, 256, 500, 512),
        "standard": _of(100, 384, 500, 768),
        "large": _of(200, 768, 1000, 1536),
    },
    "prometheus": {
        "small": _of(100, 768, 1000, 1536),
        "standard": _of(500, 2048, 2000, 4096),
        "large": _of(1000, 4096, 4000, 8192),
    },
    "alertmanager": {
        "small": _of(10, 64, 200, 128),
        "standard": _of(50, 128, 500, 256),
        "large": _of(100, 256, 1000, 512),
    },
    "grafana": {
        "small": _of(50, 192, 500, 384),
        "standard": _of(100, 256, 1000, 512),
        "large": _of(200, 512, 2000, 1024),
    },
}

# part → size → GiB of its volume
STORAGE_GIB: Final[Mapping[str, Mapping[str, int]]] = {
    "postgres": {"small": 5, "standard": 100, "large": 400},
    "artifacts": {"small": 20, "standard": 500, "large": 2000},
    "prometheus": {"small": 10, "standard": 100, "large": 400},
    "alertmanager": {"small": 1, "standard": 5, "large": 20},
    "grafana": {"small": 1, "standard": 10, "large": 40},
}


def resources(part: str, size: Size) -> Resources:
    """Return the resources of a part at a size."""
    return RESOURCES[part][size]


def storage_gib(part: str, size: Size) -> int:
    """Return the size of a part's volume in GiB."""
    return STORAGE_GIB[part][size]
