"""Labels of Kubernetes objects: one set for people, one for selectors. Creates no resource."""

from collections.abc import Mapping
from typing import Final

from platform_lib.infra.base.naming import PLATFORM, short

NAME: Final = "app.kubernetes.io/name"
COMPONENT: Final = "app.kubernetes.io/component"
PART_OF: Final = "app.kubernetes.io/part-of"
TEAM: Final = "mlp.platform/team"
"""Label of a team's namespace: the team's name."""

POD_SECURITY: Final = "pod-security.kubernetes.io"
NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
"""Kubernetes sets it on every namespace, so nobody can claim the name of another."""


def selector(name: str, component: str) -> dict[str, str]:
    """Return the labels for a selector, without version or image: a selector cannot change on an existing object."""
    return {NAME: short(name), COMPONENT: component}


def labels(name: str, component: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the recommended labels of an object.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
    """
    return {
        **selector(name, component),
        PART_OF: PLATFORM,
        "app.kubernetes.io/managed-by": "pulumi",
        **(extra or {}),
    }


def pod_security(level: str) -> dict[str, str]:
    """Return the namespace labels that enforce a Pod Security level: `restricted`, `baseline` or `privileged`."""
    return {f"{POD_SECURITY}/{mode}": level for mode in ("enforce", "audit", "warn")}
