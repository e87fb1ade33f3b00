"""Which types a model file may hold. Nothing of the file is imported or executed here; `artifact` loads it afterwards."""

from platform_lib.model.trust.check import check_types

__all__ = ["check_types"]
