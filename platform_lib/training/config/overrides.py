"""Parse overrides in Hydra's grammar, and check each against the configuration that it changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from platform_lib.errors import NotFound, UsageError
from platform_lib.training.config.schema import GateConfig, MetricsConfig, ModelConfig, SearchConfig, SplitConfig

SWITCHES = ("diagnostics",)
"""Keys that are on or off."""
WORDS = {"on": True, "off": False}
"""Of switches; YAML knows them, but Hydra's overrides do not."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One override."""

    text: str
    """As given."""
    key: str
    """Such as `model`, `model.params.C`."""
    value: Any
    """As plain values; None for a deletion or several values."""
    is_choice: bool
    """Whether it chooses a file of a group."""
    sign: str = ""
    """`+` adds a key, `++` sets it whether it exists or not, `~` deletes it."""
    values: tuple[str, ...] = ()
    """The values of a list such as `model=logistic,forest`, which only `mlp compare` and `mlp sweep` accept."""


def parse_settings(overrides: Sequence[str], conf: Path, *, lists: bool = False) -> list[Setting]:
    """Parse overrides.

    Args:
        overrides: Such as `model=forest`.
        conf: The folder whose subfolders are the groups.
        lists: Whether comma lists of the choices of a group are allowed.
    Raises:
        UsageError: An override is not in the grammar, or has several values where one is expected.
        NotFound: A choice does not exist.
    """
    settings = [_parse(text, conf) for text in overrides]
    for setting in settings:
        if setting.values and not (lists and setting.is_choice):
            remedy = (
                f"`mlp compare {setting.text}` compares them on the same rows"
                if setting.is_choice
                else "a comma list is for the choices of a group, in `mlp compare` and `mlp sweep`"
            )
            as_list = f"{setting.key}=[{','.join(setting.values)}]"
            raise UsageError(
                f"{setting.text!r} gives several values, expected one; {remedy}. If you mean a list, write {as_list}."
            )
        if setting.is_choice and setting.sign != "~":
            for choice in setting.values or (setting.value,):
                check_choice(conf, setting.key.partition("@")[0], choice)
    return settings


def check_choice(conf: Path, group: str, choice: Any) -> None:
    """Check that a choice has a file.

    Raises:
        NotFound: It has none; lists the choices that exist.
    """
    known = choices_of(conf, group)
    if choice is not None and str(choice).removesuffix(".yaml") not in known:
        listed = ", ".join(known) or "none"
        raise NotFound(f"there is no {group} {str(choice)!r}: conf/{group} has {listed}.{closest(str(choice), known)}")


def choices_of(conf: Path, group: str) -> list[str]:
    """The names of the choices of a group."""
    return sorted(path.stem for path in (conf / group).glob("*.yaml") if not path.name.startswith("."))


def groups_of(conf: Path) -> list[str]:
    """The groups: folders of `conf/`, such as `model`, with at least one choice."""
    return sorted(path.name for path in conf.iterdir() if path.is_dir() and any(path.glob("*.yaml")))


def closest(name: str, known: Sequence[str]) -> str:
    """` Did you mean …?` if a known name is close, else an empty text."""
    close = get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def check_settings(settings: Sequence[Setting], composed: Any) -> list[str]:
    """Check settings of values against the configuration without them.

    Returns:
        Their texts for Hydra: a key that no file names, but has a default, can be set like one that a file names.
    Raises:
        UsageError: A key does not exist, or its value is a text and the configuration has a number.
    """
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(composed, resolve=False)
    assert isinstance(plain, dict)
    added: set[str] = set()
    texts = []
    for setting in settings:
        group, _, name = setting.key.rpartition(".")
        given = (plain.get(group) or {}) if group else plain
        is_default = setting.sign == "" and name in DEFAULTS.get(group, ()) and name not in given
        is_whole = isinstance(setting.value, dict) and isinstance(given.get(name), dict)
        if setting.sign == "" and setting.key in _WHOLE and is_whole:
            texts += [f"~{setting.key}", f"+{setting.text}"]  # Hydra would merge the two
            added.add(setting.key)
            continue
        texts.append(f"++{setting.text}" if is_default else setting.text)
        if is_default or setting.key.startswith("hydra.") or setting.sign in ("+", "++"):
            added.add(setting.key)
        elif not any(setting.key == key or setting.key.startswith(f"{key}.") for key in added):
            old = _find(plain, setting)
            if setting.sign == "":
                _check_type(setting, old)
                _check_keys(setting, setting.value, old, setting.key)
    return texts


_WHOLE = ("gate.thresholds", "model.class_weight", "metrics.costs")
"""Mappings that a setting replaces as a whole."""


DEFAULTS: dict[str, tuple[str, ...]] = {
    "": SWITCHES,
    "model": ModelConfig.__struct_fields__,
    "split": SplitConfig.__struct_fields__,
    "gate": GateConfig.__struct_fields__,
    "search": SearchConfig.__struct_fields__,
    "metrics": MetricsConfig.__struct_fields__,
}
"""The known keys of each group, whether its file names them or not."""


def set_value(values: dict[str, Any], setting: Setting, *, prefix: str) -> None:
    """Apply a setting to plain values in place, as Hydra would below `prefix`.

    Raises:
        UsageError: The key does not exist, and the setting does not add it.
    """
    *parents, name = setting.key.removeprefix(prefix).split(".")
    node: Any = values
    for depth, parent in enumerate(parents):
        node = (
            node.setdefault(parent, {})
            if setting.sign in ("+", "++") and isinstance(node, dict)
            else _child(node, parent, setting, depth, prefix)
        )
    known = isinstance(node, dict) and name in node
    if setting.sign == "~":
        if not known:
            _child(node, name, setting, len(parents), prefix)
        del node[name]
        return
    if not isinstance(node, dict):
        _child(node, name, setting, len(parents), prefix)
    if not known and setting.sign == "" and name not in _OPTIONAL:
        _child(node, name, setting, len(parents), prefix)
    node[name] = setting.value


# Entries that a contract's file omits if they have their default.
_OPTIONAL = {"id", "time", "key", "nullable", "min", "max", "allowed", "log"}


def _parse(text: str, conf: Path) -> Setting:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import OverrideType
    from hydra.errors import HydraException

    try:
        (parsed,) = OverridesParser.create().parse_overrides([text])
    except (HydraException, ValueError) as err:
        raise UsageError(
            f"{text!r} is not a setting: expected KEY=VALUE, such as model=forest or model.params.C=0.1; put quotes "
            "around a value with special characters."
        ) from err
    signs = {OverrideType.ADD: "+", OverrideType.FORCE_ADD: "++", OverrideType.DEL: "~"}
    several: tuple[str, ...] = ()
    if parsed.is_sweep_override():
        several = tuple(str(value) for value in parsed.sweep_string_iterator())
    group = parsed.key_or_group
    sign = signs.get(parsed.type, "") if parsed.type else ""
    value = None if several or parsed.is_delete() else parsed.value()
    if group in SWITCHES and isinstance(value, str) and value in WORDS:
        value = WORDS[value]
        text = f"{sign}{group}={str(value).lower()}"
    return Setting(
        text=text,
        key=group,
        value=value,
        is_choice="." not in group and (conf / group).is_dir(),
        sign=sign,
        values=several,
    )


def _find(plain: dict[str, Any], setting: Setting) -> Any:
    node: Any = {name: value for name, value in plain.items() if name != "hydra"}
    group = setting.key.partition(".")[0]
    if group in DEFAULTS and "." in setting.key:
        node.setdefault(group, {})
    for depth, name in enumerate(setting.key.split(".")):
        node = _child(node, name, setting, depth, "")
    return node


def _child(node: Any, name: str, setting: Setting, depth: int, prefix: str) -> Any:
    if isinstance(node, list) and name.isdigit() and int(name) < len(node):
        return node[int(name)]
    if isinstance(node, dict):
        for key, value in node.items():
            if str(key) == name:
                return value
    above = prefix + ".".join(setting.key.removeprefix(prefix).split(".")[:depth])
    above = above.rstrip(".")
    known = [str(key) for key in node] if isinstance(node, dict) else []
    known += [key for key in DEFAULTS.get(above, ()) if key not in known]
    here = f"{above} has {', '.join(known) or 'no keys'}" if above else f"the keys are {', '.join(known)}"
    add = (
        f" A new one is added with a plus: +{setting.text.lstrip('~+')}"
        if above.startswith(_OPEN) and setting.sign == ""
        else ""
    )
    raise UsageError(f"the configuration has no key {setting.key!r}: {here}.{closest(name, known)}{add}")


# A key below these may be new: estimators, features.py, thresholds and searches have more keys than the files name.
_OPEN = ("model.params", "model.class_weight", "features", "gate.thresholds", "search.space")


def _check_type(setting: Setting, old: Any) -> None:
    new = setting.value
    if new is None or (isinstance(new, str) and "${" in new):
        return
    if isinstance(old, bool):
        fits, expected = isinstance(new, bool), "true or false"
    elif isinstance(old, int | float):
        fits, expected = isinstance(new, int | float) and not isinstance(new, bool), "a number"
    else:
        return
    if not fits:
        raise UsageError(
            f"{setting.key} is {new!r}, expected {expected}: the configuration has {_shown(old)} there. "
            f"If you mean it, use ++{setting.text}"
        )


def _check_keys(setting: Setting, new: Any, old: Any, place: str) -> None:
    """Check that a mapping names only keys that exist."""
    if not (isinstance(new, dict) and isinstance(old, dict)):
        return
    known = [str(name) for name in old]
    for name, value in new.items():
        if str(name) not in known:
            add = f" New ones are added with pluses: ++{setting.text}" if place.startswith(_OPEN) else ""
            raise UsageError(
                f"the configuration has no key {f'{place}.{name}'!r}: {place} has {', '.join(known) or 'no keys'}."
                f"{closest(str(name), known)}{add}"
            )
        _check_keys(setting, value, old.get(name), f"{place}.{name}")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
