"""How much room the components of a stack get and where their parts come from. Creates no resource."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from platform_lib.infra.base.mirrors import Mirrors
from platform_lib.infra.base.pod_settings import PodSettings
from platform_lib.infra.base.setting_rules import KUBERNETES_NAME
from platform_lib.infra.base.sizing import SIZE, Size, storage_gib


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Size, mirrors, volumes and pods: the same for every component of a stack."""

    size: Size = "small"
    mirrors: Mirrors = field(default_factory=Mirrors)
    storage_class: str = ""
    """Of every volume; empty uses the cluster's default class."""
    volumes_gib: Mapping[str, int] = field(default_factory=dict)
    """Part → size of its volume, in place of that of the installation size."""
    pods: PodSettings = field(default_factory=PodSettings)

    def __post_init__(self) -> None:
        SIZE.check("size", self.size)
        if self.storage_class:
            KUBERNETES_NAME.check("storage_class", self.storage_class)

    def volume_gib(self, part: str) -> int:
        """Return the size of a part's volume in GiB."""
        return self.volumes_gib.get(part) or storage_gib(part, self.size)
