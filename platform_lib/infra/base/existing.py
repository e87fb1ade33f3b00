"""Parts of the platform that a cluster has already, so that the stack uses them instead of installing its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from platform_lib.infra.base.setting_rules import NAMESPACE

KEDA: Final = "keda"
KEDA_NAMESPACE: Final = "keda"
"""Where KEDA's own documentation installs it."""
EXISTING_PARTS: Final = ("cert-manager", "prometheus-operator", "cloudnative-pg", KEDA)


@dataclass(frozen=True, kw_only=True, slots=True)
class Existing:
    """What the cluster has."""

    cert_manager: bool = False
    prometheus_operator: bool = False
    postgres: bool = False
    """The operator CloudNativePG."""
    keda_namespace: str = ""
    """Of the cluster's KEDA, which queries Prometheus from there; empty if there is none."""

    @staticmethod
    def accepts(entry: str) -> bool:
        """Whether this is an entry of `use_existing`: a part's name, or `keda=NAMESPACE`."""
        part, has_namespace, namespace = entry.partition("=")
        return part in EXISTING_PARTS and (not has_namespace or (part == KEDA and NAMESPACE.accepts(namespace)))

    @classmethod
    def of(cls, entries: Sequence[str]) -> "Existing":
        """Read the entries of `use_existing`."""
        parts = {part: namespace for part, _, namespace in (entry.partition("=") for entry in entries)}
        return cls(
            cert_manager="cert-manager" in parts,
            prometheus_operator="prometheus-operator" in parts,
            postgres="cloudnative-pg" in parts,
            keda_namespace=(parts[KEDA] or KEDA_NAMESPACE) if KEDA in parts else "",
        )
