"""Compute all diagnostics of a fitted pipeline. A part that fails is named with its reason; nothing raises."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from platform_lib.data.contract import library_message
from platform_lib.errors import PlatformError
from platform_lib.training.diagnostics.curves import class_curves, class_tables
from platform_lib.training.diagnostics.dependence import partial_dependence
from platform_lib.training.diagnostics.held_out import HeldOut, NotComputable
from platform_lib.training.diagnostics.importance import MOST_WORK, permutation_importances, precise_metric
from platform_lib.training.diagnostics.numbers import number_tables
from platform_lib.training.diagnostics.single_rows import label_errors, worst_rows
from platform_lib.training.diagnostics.slices import search_slices
from platform_lib.training.diagnostics.tables import ClassTables, Dependence, Diagnostics, Importances
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


def diagnose(
    pipeline: "Pipeline",
    rows: HeldOut,
    *,
    metric: str,
    threshold: float | None = None,
    slices: Sequence[str] = (),
    seed: int = 0,
    most_work: int = MOST_WORK,
) -> Diagnostics:
    """Compute the diagnostics of a fitted pipeline.

    Args:
        pipeline: Fitted.
        rows: The held-out rows with its predictions.
        metric: Name of the metric that importances are measured by; see `precise_metric`.
        threshold: Probability from which it predicts the positive class of two; None is 0.5.
        slices: Columns whose slices are listed whether they are worse than the rest or not.
        seed: Of the rows and shuffles that are drawn.
        most_work: Limit of the work for the importances, as `importance.MOST_WORK`.
    """
    from threadpoolctl import threadpool_limits

    # Many predictions of few rows: threads of OpenMP would cost more than they save, most of all on a busy machine.
    with threadpool_limits(limits=1):
        parts = _Parts(rows)
        classes = _classes(parts, rows, threshold) if rows.is_classification else None
        numbers = None if rows.is_classification else parts.compute("numbers", lambda: number_tables(rows))
        if numbers is not None and numbers.scatter is None:
            parts.not_computed["scatter"] = "the target is private, so its values are not shown."
        importances = _importances(parts, pipeline, rows, metric, seed=seed, most_work=most_work)
        strongest = [] if importances is None else [part.feature for part in importances.features]
        return Diagnostics(
            task=rows.contract.task,
            target=rows.contract.target,
            rows=len(rows),
            classes=classes,
            numbers=numbers,
            importances=importances,
            dependence=_dependence(parts, pipeline, rows, strongest, seed),
            slices=parts.compute("slices", lambda: search_slices(rows, slices)),
            worst_rows=parts.compute("worst_rows", lambda: worst_rows(rows, strongest)) or [],
            label_errors=parts.compute("label_errors", lambda: label_errors(rows, strongest))
            if rows.is_classification
            else None,
            not_computed=parts.not_computed,
        )


def _importances(
    parts: _Parts, pipeline: "Pipeline", rows: HeldOut, metric: str, *, seed: int, most_work: int
) -> Importances | None:
    metric = precise_metric(rows, metric)
    found, reason = parts.compute(
        "importances", lambda: permutation_importances(pipeline, rows, metric, seed=seed, most_work=most_work)
    ) or (None, None)
    if reason is not None:
        parts.not_computed["importances of the other features"] = reason
    return found


def _dependence(
    parts: _Parts, pipeline: "Pipeline", rows: HeldOut, strongest: list[str], seed: int
) -> list[Dependence]:
    if not strongest:
        parts.not_computed["dependence"] = "the strongest features are not known without importances."
    found, hidden = parts.compute("dependence", lambda: partial_dependence(pipeline, rows, strongest, seed=seed)) or (
        [],
        [],
    )
    if hidden:
        parts.not_computed["dependence on private columns"] = f"values of {', '.join(hidden)} are not shown."
    return found


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
