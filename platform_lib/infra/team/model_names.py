"""Which model names belong to which team, checked before deployment. `admission` enforces it in the cluster."""

from collections.abc import Mapping, Sequence
from typing import Final

from platform_lib.infra.base.naming import team_namespace
from platform_lib.infra.base.setting_rules import SettingError, matching

MODELS_ANNOTATION: Final = "mlp.platform/models"
"""Annotation of a team's namespace: comma-separated model names, `NAME` or `PREFIX*`."""
MODEL_PATTERN: Final = matching(
    r"[a-z][a-z0-9-]{0,39}\*?|\*", "write a name of lowercase letters, digits and dashes, or its beginning and a *"
)
"""Names of models: `NAME` or `PREFIX*`."""


def default_models(team: str) -> tuple[str, ...]:
    """Return the default patterns of a team: its own name, and names that start with it and a dash."""
    return (team, f"{team}-*")


def checked_models(teams: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return team → patterns, with defaults, after checking that no model could belong to two teams.

    Raises:
        SettingError: A pattern has the wrong form, or patterns of two teams overlap; the message names both.
    """
    checked = {team: tuple(patterns) or default_models(team) for team, patterns in teams.items()}
    for team, patterns in checked.items():
        team_namespace(team)
        for pattern in patterns:
            MODEL_PATTERN.check(f"team_models of {team}", pattern)
    names = list(checked)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            for mine in checked[one]:
                for theirs in checked[other]:
                    if overlap(mine, theirs):
                        raise SettingError(
                            f"team_models lets {one} and {other} own the same models ({mine} and {theirs}): "
                            f"give each team its own, such as {one}=NAME and {other}=NAME."
                        )
    return checked


def overlap(one: str, other: str) -> bool:
    """Whether any name matches both patterns."""
    if one.endswith("*") and other.endswith("*"):
        return one[:-1].startswith(other[:-1]) or other[:-1].startswith(one[:-1])
    if other.endswith("*"):
        one, other = other, one
    return other.startswith(one[:-1]) if one.endswith("*") else one == other
