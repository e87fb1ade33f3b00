"""Labels of Kubernetes objects: one set to find objects by, one that selectors hold. Makes no resource."""

from collections.abc import Mapping
from typing import Final

from platform_lib.infra.base.naming import PLATFORM, short

NAME: Final = "app.kubernetes.io/name"
COMPONENT: Final = "app.kubernetes.io/component"
TEAM: Final = "mlp.platform/team"
"""On a team's namespace: its name."""

POD_SECURITY: Final = "pod-security.kubernetes.io"
NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
"""Kubernetes itself sets it on every namespace, so that nobody can claim another's."""


def selector(name: str, component: str) -> dict[str, str]:
    """What a selector holds. It can never change on a living object, so neither version nor image belongs into it."""
    return {NAME: short(name), COMPONENT: component}


def labels(name: str, component: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The recommended labels of an object.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
    """
    return {
        **selector(name, component),
        "app.kubernetes.io/part-of": PLATFORM,
        "app.kubernetes.io/managed-by": "pulumi",
        **(extra or {}),
    }


def pod_security(level: str) -> dict[str, str]:
    """Namespace labels that make the API server refuse pods below a level (`restricted`, `baseline` or `privileged`)."""
    return {f"{POD_SECURITY}/{mode}": level for mode in ("enforce", "audit", "warn")}
