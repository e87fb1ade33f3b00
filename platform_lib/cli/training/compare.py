"""`mlp compare`: fit several models on the same rows and compare them."""

import json
import shlex
from typing import TYPE_CHECKING, Any

import click

from platform_lib.settings import find_project, load_settings

if TYPE_CHECKING:
    from platform_lib.training.comparison.result import Comparison, ModelRow, Scored

_MUCH_SMALLER = 5


@click.command(epilog="Example: mlp compare logistic forest boosting seed=1")
@click.argument("models", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, models: tuple[str, ...], as_json: bool) -> None:
    """Fit several models on the same rows and compare them; nothing is registered.

    MODELS are choices of conf/model, by default all that can be built here, and overrides as for `mlp train`; a comma
    list compares choices of another group as well, such as features=standard,plain. The table shows each score on the
    held-out rows with its 95 % interval, and whether the rows can tell a model from the best one.
    """
    from platform_lib.cli.console import stderr, working

    project = find_project()
    with working("Loading the libraries"):
        from platform_lib.training.comparison.compare import compare, models_of

        found = models_of(project, models)
    for name, reason in found.left_out.items():
        stderr().print(f"note: {name} is left out: {reason}")
    result = compare(project, load_settings(), found, progress=working)
    searched = {
        one.overrides for one in found.combinations if one.composed.config.search.space.get(one.choice("model"))
    }
    steps = _next_steps(result, searched)
    if as_json:
        click.echo(json.dumps(_as_dict(result, steps), ensure_ascii=False))
    else:
        _show(result, steps)


def _show(result: "Comparison", steps: list[tuple[str, str]]) -> None:
    from platform_lib.cli.console import stderr, stdout
    from platform_lib.cli.rendering import number, show, table

    console = stdout()
    console.print(f"On {result.rows} held-out rows of {result.data}, fitted on {result.train_rows}; the best first:")
    headers = ("model", result.metric, "95 % interval", "against the best", "fit", "size")
    main = table(*headers, numeric=(result.metric, "fit", "size"), fixed=("model", "95 % interval", "fit", "size"))
    scored = [row for row in result.models if row.standing is not None]
    for row in scored:
        own = row.metrics[result.metric]
        main.add_row(row.label, number(own.value), _range(own), _against(row, own), _seconds(row), _bytes(row))
    show(console, main)
    others = [name for name in dict.fromkeys(name for row in scored for name in row.metrics) if name != result.metric]
    if others:
        console.print()
        rest = table("metric, ± half of its interval", *(row.label for row in scored))
        for name in others:
            rest.add_row(name, *(_half(row.metrics.get(name)) for row in scored))
        show(console, rest)
    console.print()
    for row in result.models:
        if row.error is not None:
            stderr().print(f"warning: {row.label} could not be compared: {row.error}", style="yellow")
    best = result.best
    for reason in best.below if best is not None else ():
        stderr().print(f"warning: the gate would refuse {best.label if best else ''}: {reason}", style="yellow")
    console.print(f"Nothing is registered; MLflow run {result.run_id}. Next:")
    width = max(len(command) for command, _ in steps)
    for text, why in steps:
        console.print(f"  {text:<{width}}  {why}")


def _next_steps(result: "Comparison", searched: set[tuple[str, ...]]) -> list[tuple[str, str]]:
    best = result.best
    assert best is not None
    ties = [row for row in result.models if row.standing in ("cannot tell", "the same")]
    steps = [(_train(best), "train, gate and register the best" if not ties else "the best on these rows")]
    small = min((row for row in ties if row.model_bytes), key=lambda row: row.model_bytes or 0, default=None)
    if small is not None and (small.model_bytes or 0) * _MUCH_SMALLER <= (best.model_bytes or 0):
        steps.append((_train(small), "much smaller, and as good as these rows can tell"))
    if best.overrides in searched:
        steps.append(("mlp sweep " + " ".join(map(shlex.quote, best.overrides)), "search for its best parameters"))
    return steps


def _train(row: "ModelRow") -> str:
    return "mlp train " + " ".join(shlex.quote(text) for text in row.overrides)


def _against(row: "ModelRow", own: "Scored") -> str:
    from platform_lib.training.wording import gain_text

    if row.standing in ("best", "the same") or own.gain is None:
        return str(row.standing)
    words = gain_text(*own.gain)
    return words if row.standing == "worse" else f"cannot tell: {words}"


def _range(own: "Scored") -> str:
    from platform_lib.cli.rendering import number

    return "–" if own.interval is None else f"{number(own.interval[0])} to {number(own.interval[1])}"


def _half(scored: "Scored | None") -> str:
    from platform_lib.cli.rendering import number

    if scored is None:
        return "–"
    if scored.interval is None:
        return number(scored.value)
    return f"{number(scored.value)} ±{number((scored.interval[1] - scored.interval[0]) / 2)}"


def _seconds(row: "ModelRow") -> str:
    return (
        "–"
        if row.fit_seconds is None
        else f"{row.fit_seconds:.2g} s"
        if row.fit_seconds < 10
        else f"{row.fit_seconds:,.0f} s"
    )


def _bytes(row: "ModelRow") -> str:
    size = float(row.model_bytes or 0)
    for unit in ("B", "kB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} MB" if size < 1000 else f"{size:,.0f} MB"


def _as_dict(result: "Comparison", steps: list[tuple[str, str]]) -> dict[str, Any]:
    import msgspec

    fields = msgspec.to_builtins(result)
    best = result.best
    return {
        **fields,
        "best": None if best is None else best.label,
        "next": [{"command": text, "reason": reason} for text, reason in steps],
    }
