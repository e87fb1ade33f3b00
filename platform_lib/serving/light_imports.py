"""Import libraries without their unused optional dependencies, to save memory and start-up time."""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Absent(MetaPathFinder):
    """Makes imports of some packages fail in one thread or in all, as if they were not installed."""

    def __init__(self, names: Sequence[str], thread: int | None = None) -> None:
        self.names, self._thread = frozenset(names), thread

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in self.names and self._thread in (None, threading.get_ident()):
            raise ModuleNotFoundError(
                f"{fullname} is blocked in this process (platform_lib.serving.light_imports)", name=fullname
            )
        return None


def block_imports(*names: str) -> None:
    """Make imports of these packages fail in this process from now on, as if they were not installed."""
    sys.meta_path.insert(0, _Absent(names))


@contextmanager
def imports_blocked(*names: str) -> Iterator[None]:
    """Make imports of these packages fail in this thread until the block ends. Imported packages stay imported."""
    finder = _Absent(names, threading.get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        # It stays in sys.meta_path: removing it could make an import in another thread, which iterates over the list at
        # this moment, skip a finder.
        finder.names = frozenset()


def import_sklearn() -> None:
    """Import scikit-learn without pandas and rich, 65 MiB that the fast path does not need.

    scikit-learn imports them only to see whether they are installed. Code that needs pandas later imports it then,
    because scikit-learn checks again for each data frame. rich only draws the progress of fitting.
    """
    if "sklearn.pipeline" in sys.modules:
        return  # called for each version that is loaded
    with imports_blocked("pandas", "rich"):
        import sklearn.pipeline  # noqa: F401
