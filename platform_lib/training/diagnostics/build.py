"""Compute all diagnostics of a fitted pipeline. A part that fails is named with its reason; nothing raises."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from platform_lib.data.contract import library_message
from platform_lib.errors import PlatformError
from platform_lib.training.diagnostics.curves import class_curves, class_tables
from platform_lib.training.diagnostics.held_out import HeldOut, NotComputable
from platform_lib.training.diagnostics.numbers import number_tables
from platform_lib.training.diagnostics.tables import ClassTables, Diagnostics
from platform_lib.training.diagnostics.thresholds import threshold_table

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_Part = TypeVar("_Part")


class _Parts:
    """Computes one part after the other, and keeps the reasons why some could not be computed."""

    def __init__(self, rows: HeldOut) -> None:
        self._contract = rows.contract
        self.not_computed: dict[str, str] = {}

    def compute(self, name: str, part: Callable[[], _Part]) -> _Part | None:
        """The part, or None after an error of any kind."""
        try:
            return part()
        except (NotComputable, PlatformError) as err:
            self.not_computed[name] = str(err)
        except Exception as err:  # a training never fails because of its diagnostics
            self.not_computed[name] = f"{type(err).__name__}: {library_message(err, self._contract)}"
        return None


def diagnose(pipeline: "Pipeline", rows: HeldOut, *, threshold: float | None) -> Diagnostics:
    """Compute the diagnostics of a fitted pipeline.

    Args:
        pipeline: Fitted.
        rows: The held-out rows with its predictions.
        threshold: Probability from which it predicts the positive class of two; None is 0.5.
    """
    parts = _Parts(rows)
    classes = _classes(parts, rows, threshold) if rows.is_classification else None
    numbers = None if rows.is_classification else parts.compute("numbers", lambda: number_tables(rows))
    if numbers is not None and numbers.scatter is None:
        parts.not_computed["scatter"] = "the target is private, so its values are not shown."
    return Diagnostics(
        task=rows.contract.task,
        target=rows.contract.target,
        rows=len(rows),
        classes=classes,
        numbers=numbers,
        not_computed=parts.not_computed,
    )


def _classes(parts: _Parts, rows: HeldOut, threshold: float | None) -> ClassTables | None:
    import msgspec

    tables = parts.compute("confusion", lambda: class_tables(rows))
    if tables is None:
        return None
    curves, missing = parts.compute("curves", lambda: class_curves(rows)) or ([], {})
    parts.not_computed.update({f"curves of {label}": reason for label, reason in missing.items()})
    of_thresholds = None
    if len(rows.predictions.classes) == 2:
        current = 0.5 if threshold is None else threshold
        of_thresholds = parts.compute("thresholds", lambda: threshold_table(rows, current))
    return msgspec.structs.replace(tables, curves=curves, thresholds=of_thresholds)
