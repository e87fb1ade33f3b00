"""Sections on the scores: the key facts, the metrics, and the comparison."""

from collections.abc import Mapping
from typing import Any

from platform_lib.metrics import METRICS
from platform_lib.report.blocks import Block, Cell, Figures, Items, Section, Table, Text
from platform_lib.report.content import Compared, ReportContent
from platform_lib.report.feature_charts import gain_figure
from platform_lib.training.wording import amount, number

_ERRORS_APART = 2.0
"""Differences of less than so many standard errors, of both scores together, are not called better or worse."""


def key_facts(content: ReportContent) -> dict[str, str]:
    """The few numbers that the page starts with."""
    verdict, evaluation = content.verdict or {}, content.evaluation
    metrics = evaluation.get("metrics", {})
    name = str(verdict.get("metric") or next(iter(metrics), ""))
    facts = {}
    if name in metrics:
        facts[f"{name}, {_direction(name)} is better"] = _with_error(
            metrics[name], evaluation.get("standard_errors", {}).get(name)
        )
    if (constant := evaluation.get("baseline", {}).get(name)) is not None:
        facts["constant prediction"] = number(constant)
    if verdict.get("champion_score") is not None:
        facts[f"champion then, version {verdict.get('champion_version')}"] = number(verdict["champion_score"])
    if "rows" in evaluation:
        facts["held-out rows"] = f"{evaluation['rows']:,}"
    if content.profile is not None:
        facts["training rows"] = f"{content.profile.rows:,}"
    return facts


def scores_section(content: ReportContent) -> Section:
    """Metrics on the held-out rows, beside a constant prediction and another version."""
    evaluation = content.evaluation
    blocks: list[Block] = []
    figure = gain_figure(content.verdict or {})
    if figure is not None:
        blocks.append(Figures(figures=[figure]))
    if content.compared is not None:
        blocks += _comparison(evaluation, content.compared)
    else:
        blocks.append(_metrics(evaluation))
    if missing := evaluation.get("not_computed"):
        blocks.append(Items(items=list(missing.values())))
    return Section(anchor="scores", title="Scores", blocks=blocks)


def _rows_of(evaluation: Mapping[str, Any]) -> str:
    return f" on {evaluation['rows']:,} held-out rows" if "rows" in evaluation else ""


def _metrics(evaluation: Mapping[str, Any]) -> Table:
    errors, constants = evaluation.get("standard_errors", {}), evaluation.get("baseline", {})
    return Table(
        caption=f"Metrics{_rows_of(evaluation)}",
        headers=("metric", "value", "standard error", "constant prediction", "better is"),
        rows=[
            (name, number(value), number(errors.get(name)), number(constants.get(name)), _direction(name))
            for name, value in evaluation.get("metrics", {}).items()
        ],
        numeric=frozenset({1, 2, 3}),
        note="A constant prediction, such as the most frequent class or the mean, needs no features.",
    )


def _direction(name: str) -> str:
    metric = METRICS.get(name)
    return "–" if metric is None else "higher" if metric.greater_is_better else "lower"


def _comparison(evaluation: Mapping[str, Any], compared: Compared) -> list[Block]:
    ours, theirs = evaluation.get("metrics", {}), compared.evaluation.get("metrics", {})
    our_errors, their_errors = evaluation.get("standard_errors", {}), compared.evaluation.get("standard_errors", {})
    constants = evaluation.get("baseline", {})
    rows = []
    for name in dict.fromkeys([*ours, *theirs]):
        mine, other = ours.get(name), theirs.get(name)
        error = (our_errors.get(name, 0.0) ** 2 + their_errors.get(name, 0.0) ** 2) ** 0.5
        change = None if mine is None or other is None else mine - other
        rows.append(
            (
                name,
                _with_error(mine, our_errors.get(name)),
                _with_error(other, their_errors.get(name)),
                "–" if change is None else f"{change:+.4f}",
                _judged(name, change, error),
                number(constants.get(name)),
            )
        )
    about = "the same table" if compared.same_table else "another state of the table, so the scores are of other rows"
    note = (
        f"± is one standard error. Both were evaluated on {about}. A difference below {_ERRORS_APART:g} standard "
        "errors is called “too close to tell”; the interval of the gate, on the same rows, is sharper."
    )
    headers = ("metric", "this version", compared.label, "difference", "this version is", "constant prediction")
    caption = (
        f"Metrics{_rows_of(evaluation)}, compared with {compared.label} ({compared.estimator or 'estimator unknown'})"
    )
    found: list[Block] = [
        Table(caption=caption, headers=headers, rows=rows, numeric=frozenset({1, 2, 3, 5}), note=note)
    ]
    for title, values in compared.differences.items():
        if values:
            table = [(name, _short(other), _short(mine)) for name, (other, mine) in values.items()]
            names = (title.lower(), compared.label, "this version")
            found.append(Table(caption=f"{title}: what differs", headers=names, rows=table))
        else:
            found.append(Text(text=f"{title}: the same in both versions."))
    return found


def _with_error(value: float | None, error: float | None) -> str:
    return number(value) + (f" ± {amount(error)}" if value is not None and error is not None else "")


def _judged(name: str, change: float | None, error: float) -> str | Cell:
    metric = METRICS.get(name)
    if change is None or metric is None:
        return "–"
    if change == 0:
        return "the same"
    if abs(change) <= max(_ERRORS_APART * error, 1e-12):
        return "too close to tell"
    is_better = (change > 0) == metric.greater_is_better
    return Cell(text="better" if is_better else "worse", tone="good" if is_better else "bad")


def _short(value: Any) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
