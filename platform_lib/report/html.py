"""Render sections as one HTML file without scripts, that loads nothing and works in light, dark and print."""

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from platform_lib.report.blocks import Cell
from platform_lib.report.svg import Chart

if TYPE_CHECKING:
    from jinja2 import Environment


def render_html(template: str, *, package: str | None = None, **values: Any) -> str:
    """Render a page.

    Args:
        template: File name of a template that extends `base.html.j2`.
        package: Dotted name of the package with the template; None is this one.
        values: What the template shows: title, heading, tone (good, bad or unsure), reasons, notices, facts, sections
            and not_computed, and what its own blocks need. Texts are escaped.
    """
    style = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    return str(_environment(package or __package__ or "").get_template(template).render(style=style, **values))


def _environment(package: str) -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    def load(name: str) -> str:
        of = __package__ if name == "base.html.j2" else package
        return files(of).joinpath(name).read_text(encoding="utf-8")

    made = Environment(
        loader=FunctionLoader(load), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["svg"] = lambda chart: Markup(chart.markup())
    made.tests["cell"] = lambda value: isinstance(value, Cell)
    made.tests["chart"] = lambda value: isinstance(value, Chart)
    return made
