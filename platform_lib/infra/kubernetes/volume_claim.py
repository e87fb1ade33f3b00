"""The spec of a PersistentVolumeClaim, as plain data."""

from typing import Any


def claim_spec(gib: int, storage_class: str, *, access_mode: str = "ReadWriteOnce") -> dict[str, Any]:
    """Build the spec of a claim.

    Args:
        gib: Size in GiB.
        storage_class: Name of the StorageClass; empty uses the cluster's default class.
        access_mode: `ReadWriteOnce` for one node, `ReadWriteMany` for pods on several nodes.
    """
    spec: dict[str, Any] = {"accessModes": [access_mode], "resources": {"requests": {"storage": f"{gib}Gi"}}}
    return {**spec, "storageClassName": storage_class} if storage_class else spec
