"""Import scikit-learn without pandas. It imports pandas (and that pyarrow) where they are installed, 60 MiB that no answer by the fast path needs."""

import sys
import threading
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _NotNow(MetaPathFinder):
    """Makes one thread's imports of pandas fail, as if it were not installed; other threads may import what they like."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname == "pandas" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError("pandas is imported when it is needed", name=fullname)
        return None


def import_sklearn() -> None:
    """Import scikit-learn as on a machine without pandas. What needs pandas later imports it then: scikit-learn looks for it anew for each frame.

    Does nothing where either is imported already.
    """
    if "sklearn" in sys.modules or "pandas" in sys.modules:
        return
    not_now = _NotNow()
    sys.meta_path.insert(0, not_now)
    try:
        import sklearn.base  # noqa: F401
    finally:
        sys.meta_path.remove(not_now)
