"""How much room the components of a stack get and where their parts come from. Makes no resource."""

from dataclasses import dataclass, field

from platform_lib.infra.base.mirrors import Mirrors
from platform_lib.infra.base.setting_rules import KUBERNETES_NAME
from platform_lib.infra.base.sizing import SIZE, Size


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Size, mirrors and storage class: the same for every component of a stack."""

    size: Size = "small"
    mirrors: Mirrors = field(default_factory=Mirrors)
    storage_class: str = ""
    """Of every volume; empty uses the cluster's default class."""

    def __post_init__(self) -> None:
        SIZE.check("size", self.size)
        if self.storage_class:
            KUBERNETES_NAME.check("storage_class", self.storage_class)
