"""Settings that are lists of `NAME=VALUE` entries."""

from platform_lib.infra.base.setting_rules import Rule


def pair(rule: Rule, form: str) -> Rule:
    """Rule for an entry `NAME=VALUE`: the value must keep the given rule."""

    def accepts(entry: str) -> bool:
        name, _, value = (part.strip() for part in entry.partition("="))
        return bool(name) and rule.accepts(value)

    return Rule(accepts, f"write {form}, one entry for each value")


def pairs(entries: tuple[str, ...]) -> dict[str, list[str]]:
    """`("red=churn", "red=fraud")` as `{"red": ["churn", "fraud"]}`."""
    made: dict[str, list[str]] = {}
    for entry in entries:
        name, _, value = (part.strip() for part in entry.partition("="))
        made.setdefault(name, []).append(value)
    return made
