"""Decide which types a model file may contain, without importing or executing anything of the file."""

from platform_lib.model.trust.check import check_types

__all__ = ["check_types"]
