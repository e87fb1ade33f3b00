"""The diagnostics in at most three lines."""

import math

from platform_lib.training.diagnostics.tables import Diagnostics, Importances, LabelErrors, Slice, SliceSearch

_MOST_NAMES = 3


def summary(diagnostics: Diagnostics) -> tuple[str, ...]:
    """What to know first: the strongest features, the weakest slice, and labels or probabilities to doubt."""
    lines = []
    if diagnostics.importances is not None and diagnostics.importances.features:
        lines.append(_strongest(diagnostics.importances))
    if diagnostics.slices is not None:
        lines.append(_weakest(diagnostics.slices))
    if (doubt := _doubt(diagnostics)) is not None:
        lines.append(doubt)
    return tuple(lines)


def slice_text(part: Slice, loss: str) -> str:
    """A slice in a few words: where, how bad, on how many rows, and how bad the other rows are.

    Args:
        part: The slice.
        loss: As `SliceSearch.loss`.
    """
    if loss == "share wrong":
        shares = f"{part.loss:.0%} of {part.rows} rows wrong, {part.loss_elsewhere:.0%} elsewhere"
        return f"{part.column} = {part.value}: {shares}"
    return (
        f"{part.column} = {part.value}: {loss} {part.loss:.4g} on {part.rows} rows, {part.loss_elsewhere:.4g} elsewhere"
    )


def _strongest(importances: Importances) -> str:
    strong = [part for part in importances.features if part.interval.low > 0]
    if not strong:
        return f"Strongest features: none; shuffling any of them leaves {importances.metric} as it is, within chance."
    names = ", ".join(f"{part.feature} ({part.loss:.3g})" for part in strong[:_MOST_NAMES])
    return f"Strongest features, by how much worse {importances.metric} gets without them: {names}."


def _weakest(search: SliceSearch) -> str:
    if search.found:
        return f"Weakest slice: {slice_text(search.found[0], search.loss)}."
    return f"Weakest slice: none of {search.looked_at} is worse than the rest by more than chance."


def _doubt(diagnostics: Diagnostics) -> str | None:
    errors = diagnostics.label_errors
    if errors is not None and is_more_than_chance(errors):
        return f"Likely wrong labels: {errors.count} rows, where right labels would leave about {errors.by_chance:.0f}."
    if diagnostics.classes is not None:
        for curve in diagnostics.classes.curves:
            if curve.calibration.error > 1.5 * curve.calibration.error_by_chance:
                return (
                    f"Probabilities of {curve.label} are off by {curve.calibration.error:.3f} on average, and chance "
                    f"explains {curve.calibration.error_by_chance:.3f}."
                )
    return None


def is_more_than_chance(errors: LabelErrors) -> bool:
    """Whether more labels are doubtful than three standard deviations above what chance explains."""
    return errors.count > errors.by_chance + 3 * math.sqrt(errors.by_chance) + 1


def chance_text(errors: LabelErrors) -> str:
    """The number of doubtful labels that chance explains."""
    return f"about {errors.by_chance:.{0 if errors.by_chance >= 10 else 1}f}"
