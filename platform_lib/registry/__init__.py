"""Models in MLflow's registry: find, load, register, promote and roll back."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from platform_lib.registry.loading import load_model as load_model
    from platform_lib.registry.loading import open_registry as open_registry
    from platform_lib.registry.reference import Reference as Reference
    from platform_lib.registry.reference import VersionRecord as VersionRecord
    from platform_lib.registry.reference import parse_reference as parse_reference
    from platform_lib.registry.store import ensure_store as ensure_store
    from platform_lib.registry.versions import Registry as Registry

# Imported on first use: users of only the store or a client should not wait three seconds for scikit-learn.
_HOMES = {
    "Reference": "reference",
    "Registry": "versions",
    "VersionRecord": "reference",
    "ensure_store": "store",
    "load_model": "loading",
    "open_registry": "loading",
    "parse_reference": "reference",
}

__all__ = ["Reference", "Registry", "VersionRecord", "ensure_store", "load_model", "open_registry", "parse_reference"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"platform_lib.registry.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'platform_lib.registry' has no attribute {name!r}")
