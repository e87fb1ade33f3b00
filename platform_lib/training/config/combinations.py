"""Compose every combination of the choices that overrides list, such as `model=logistic,forest`."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from platform_lib.errors import UsageError
from platform_lib.settings import Project
from platform_lib.training.config.compose import Composed, compose
from platform_lib.training.config.overrides import parse_settings

_SAME_ROWS, _SAME_RULES = ("data", "split"), ("gate", "search")
_MOST = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Combination:
    """One combination of the choices of groups, such as model=forest with features=standard."""

    choices: dict[str, str]
    """The choices that differ between combinations."""
    overrides: tuple[str, ...]
    """The overrides that compose it."""
    composed: Composed

    def choice(self, group: str) -> str:
        """The choice made in a group; an empty text if the group has none."""
        return self.composed.choices.get(group, "")


def combinations(project: Project, overrides: Sequence[str]) -> list[Combination]:
    """Compose every combination; one if the overrides have no list.

    Args:
        project: Whose `conf/` to compose.
        overrides: As for `compose`; a choice may be a comma list.
    Raises:
        UsageError: An override does not fit, a list is for a group that has to be the same for all, or the lists make
            too many combinations.
    """
    settings = parse_settings(overrides, project.conf_dir, lists=True)
    lists = [setting for setting in settings if setting.values]
    for setting in lists:
        if setting.key in (*_SAME_ROWS, *_SAME_RULES):
            raise UsageError(
                f"{setting.text!r} lists choices of {setting.key}, but scores on different rows or by different rules "
                "cannot be compared: choose one."
            )
    fixed = tuple(setting.text for setting in settings if not setting.values)
    products = list(
        itertools.product(*([(setting.key, value) for value in dict.fromkeys(setting.values)] for setting in lists))
    )
    if len(products) > _MOST:
        raise UsageError(
            f"the lists make {len(products)} combinations, expected at most {_MOST}: run the command several times."
        )
    found = []
    for product in products:
        texts = (*(f"{group}={choice}" for group, choice in product), *fixed)
        found.append(Combination(choices=dict(product), overrides=texts, composed=compose(project, texts)))
    return found
