"""The library of Cloud ML Platform. A notebook needs two calls: `load_table()` and `load_model("NAME@champion")`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from platform_lib.data.dataset import load_table as load_table
    from platform_lib.registry import load_model as load_model

__all__ = ["load_model", "load_table"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `import platform_lib` alone must stay instant for the command line.
    if name == "load_table":
        from platform_lib.data.dataset import load_table

        return load_table
    if name == "load_model":
        from platform_lib.registry import load_model

        return load_model
    raise AttributeError(f"module 'platform_lib' has no attribute {name!r}")
