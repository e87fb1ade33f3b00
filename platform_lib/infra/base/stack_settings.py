"""Reader of a Pulumi stack's settings; every error names the user's key in one sentence."""

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi.runtime.config

from platform_lib.infra.base.setting_rules import Rule, SettingError, shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One key of a stack."""

    kind: type
    """`str`, `int`, `float`, `bool`, or `tuple` for a list of texts."""
    rule: Rule | None = None
    """Applies to the value, or to each item of a list."""
    is_secret: bool = False


def read_settings(config: pulumi.Config, settings: Mapping[str, Setting]) -> dict[str, Any]:
    """Read and check a stack's settings.

    Args:
        config: The project's configuration.
        settings: Every key that the project may have.
    Returns:
        The values that are set and not empty, by key. Secrets are plain text: wrap them before they reach a resource.
    Raises:
        SettingError: A key is unknown, or a value is of the wrong type, breaks its rule or should be encrypted.
    """
    refuse_unknown_keys(config, settings)
    values = {}
    for key, setting in settings.items():
        text = config.get(key)
        if text is None or (text == "" and setting.kind in (str, float)):
            continue
        value = _converted(key, str(text), setting)
        places = (
            {f"{key}[{index}]": item for index, item in enumerate(value)} if setting.kind is tuple else {key: value}
        )
        if setting.is_secret and places:
            _refuse_plain_text(config, key, setting)
        if setting.rule is not None:
            for place, item in places.items():
                setting.rule.check(place, item, is_secret=setting.is_secret)
        values[key] = value
    return values


def refuse_unknown_keys(config: pulumi.Config, known: Mapping[str, Any]) -> None:
    """Refuse the project's unknown keys: Pulumi itself ignores a misspelt key.

    Raises:
        SettingError: Names the key and the nearest known one.
    """
    prefix = f"{config.name}:"
    given = {*pulumi.runtime.config.CONFIG.get(), *pulumi.runtime.config.get_config_env()}
    for key in sorted(name.removeprefix(prefix) for name in given if name.startswith(prefix)):
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise SettingError(f"{key} is not a setting of this stack{hint}: remove it with `pulumi config rm {key}`.")


def _converted(key: str, text: str, setting: Setting) -> Any:
    convert, expected = _CONVERTERS[setting.kind]
    try:
        return convert(text)
    except ValueError:
        given = "is not of the expected type" if setting.is_secret else f"is {shown(text)}"
        raise SettingError(f"{key} {given}: give {expected.format(key=key)}.") from None


def _refuse_plain_text(config: pulumi.Config, key: str, setting: Setting) -> None:
    if not pulumi.runtime.is_config_secret(f"{config.name}:{key}"):
        typed = f"--path '{key}[0]'" if setting.kind is tuple else key
        raise SettingError(
            f"{key} is written in plain text: `pulumi config set --secret {typed}` encrypts it. Change the "
            "secret as well if the file was shared."
        )


def _text(value: str) -> str:
    if value[:1] in ("{", "["):  # Pulumi passes a map or a list as JSON
        try:
            json.loads(value)
        except ValueError:
            return value
        raise ValueError
    return value


def _whole_number(value: str) -> int:
    if not re.fullmatch(r"-?\d+", value):
        raise ValueError
    return int(value)


def _truth(value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError
    return value == "true"


def _texts(value: str) -> tuple[str, ...]:
    items = json.loads(value)
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError
    return tuple(items)


_CONVERTERS: Mapping[type, tuple[Callable[[str], Any], str]] = {
    str: (_text, "text, not a map or a list"),
    int: (_whole_number, "a whole number"),
    float: (float, "a number"),
    bool: (_truth, "true or false"),
    tuple: (_texts, "a list of texts, one entry at a time: `pulumi config set --path '{key}[0]' ENTRY`"),
}
