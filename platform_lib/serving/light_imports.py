"""Import libraries without what they would import besides where it is installed, and what this process has no use for: memory and start-up time."""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Absent(MetaPathFinder):
    """Makes imports of some packages fail, as if they were not installed: those of one thread, or of all."""

    def __init__(self, names: Sequence[str], thread: int | None = None) -> None:
        self.names, self._thread = frozenset(names), thread

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in self.names and self._thread in (None, threading.get_ident()):
            raise ModuleNotFoundError(
                f"{fullname} is kept out here (platform_lib.serving.light_imports)", name=fullname
            )
        return None


def keep_out(*names: str) -> None:
    """Let no import of these packages succeed in this process from now on; what would use them if they were there does without."""
    sys.meta_path.insert(0, _Absent(names))


@contextmanager
def without(*names: str) -> Iterator[None]:
    """As `keep_out`, for this thread and until the block ends. What is imported already stays."""
    finder = _Absent(names, threading.get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        # It stays in the list: another thread's import that walks it just now would leave one out if this one went.
        finder.names = frozenset()


def import_sklearn() -> None:
    """Import scikit-learn without pandas and rich, which it imports to know whether they are there: 65 MiB that no answer by the fast path needs.

    What needs pandas later imports it then: scikit-learn looks for it anew for each frame. rich only draws the progress of fitting.
    """
    if "sklearn.pipeline" in sys.modules:
        return  # asked for each version that is loaded
    with without("pandas", "rich"):
        import sklearn.pipeline  # noqa: F401
