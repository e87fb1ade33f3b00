"""All pictures of a run's diagnostics, drawn from its tables."""

from collections.abc import Iterator

from platform_lib.training.diagnostics.pictures.classes import class_drawings
from platform_lib.training.diagnostics.pictures.features import dependence_drawing, importance_drawing, slices_drawing
from platform_lib.training.diagnostics.pictures.numbers import number_drawings
from platform_lib.training.diagnostics.pictures.style import Drawing, png
from platform_lib.training.diagnostics.tables import Diagnostics, Picture

FOLDER = "diagnostics"
"""Folder of the pictures among the run's artifacts."""


def draw_pictures(diagnostics: Diagnostics) -> tuple[list[tuple[Picture, bytes]], dict[str, str]]:
    """Draw a picture of each part that was computed.

    Returns:
        The pictures with their PNG, and per picture that could not be drawn the reason.
    """
    drawn: list[tuple[Picture, bytes]] = []
    failed: dict[str, str] = {}
    for drawing in drawings(diagnostics):
        try:
            content = png(drawing)
        except Exception as err:  # a training never fails because of a picture
            # Only the type, since the message may quote values.
            failed[f"picture {drawing.name}"] = f"drawing it failed with {type(err).__name__}."
            continue
        picture = Picture(file=f"{FOLDER}/{drawing.name}.png", title=drawing.title, description=drawing.description)
        drawn.append((picture, content))
    return drawn, failed


def drawings(diagnostics: Diagnostics) -> Iterator[Drawing]:
    """The pictures that the tables allow, the most important first."""
    if diagnostics.classes is not None:
        yield from class_drawings(diagnostics.classes)
    if diagnostics.numbers is not None:
        yield from number_drawings(diagnostics.numbers, diagnostics.target)
    if diagnostics.importances is not None and diagnostics.importances.features:
        yield importance_drawing(diagnostics.importances)
    if diagnostics.dependence:
        yield dependence_drawing(diagnostics.dependence, diagnostics.target)
    if diagnostics.slices is not None and (of_slices := slices_drawing(diagnostics.slices)) is not None:
        yield of_slices
