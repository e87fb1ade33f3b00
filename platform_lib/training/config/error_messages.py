"""Explain errors of composing a configuration: where, what was expected, and what exists."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import yaml

from platform_lib.data.dataset import NOTHING_SELECTED
from platform_lib.errors import NotFound, UsageError
from platform_lib.training.config.overrides import check_choice, closest, groups_of
from platform_lib.training.config.schema import (
    GateConfig,
    MetricsConfig,
    ModelConfig,
    SearchConfig,
    SearchDimension,
    SplitConfig,
    TrainConfig,
)


def check_root(conf: Path, root: str) -> None:
    """Check that the folder has the root configuration."""
    if not (conf / f"{root}.yaml").is_file():
        raise UsageError(
            f"{conf / f'{root}.yaml'} is missing. Restore it with `git checkout -- conf/train.yaml`, or copy it from "
            "the template."
        )


def load_yaml(path: Path, conf: Path) -> Any:
    """Read one file of `conf/` as plain values.

    Raises:
        UsageError: The file is not YAML; names file and line.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as err:
        raise UsageError(_broken(path, conf, err)) from err


@contextmanager
def translate(conf: Path, folder: Path) -> Iterator[None]:
    """Convert Hydra's errors to this library's.

    Args:
        conf: The project's folder, which the messages name.
        folder: The copy that Hydra reads.
    """
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except MissingConfigException as err:
        raise _missing_choice(conf, err) from err
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError) as err:
        if "You must specify 'data'" in str(err):
            raise NotFound(NOTHING_SELECTED) from err
        _check_each(conf, folder)
        raise UsageError(_composition(conf, str(err))) from err


def resolve(composed: Any, conf: Path, contract: dict[str, Any]) -> dict[str, Any]:
    """The composed configuration as plain values, without Hydra's node.

    Raises:
        UsageError: A required value is missing, or refers to a key that does not exist.
    """
    from omegaconf import OmegaConf, open_dict
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    with open_dict(composed):
        del composed["hydra"]
    try:
        values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as err:
        key = str(err.full_key)
        columns = contract.get("columns")
        listed = (
            f"; the columns are {', '.join(map(str, columns))}"
            if key.endswith("column") and isinstance(columns, dict)
            else ""
        )
        raise UsageError(
            f"{key} has no value: set it in {_file_of(conf, key)}, or for one run with {key}=VALUE{listed}."
        ) from err
    except OmegaConfBaseException as err:
        raise UsageError(
            f"{err.full_key} cannot be resolved: {str(err).splitlines()[0].rstrip('.')}. Look at "
            f"{_file_of(conf, err.full_key)}."
        ) from err
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


_STRUCTS: dict[str, type[msgspec.Struct]] = {
    "": TrainConfig,
    "model": ModelConfig,
    "gate": GateConfig,
    "split": SplitConfig,
    "search": SearchConfig,
    "metrics": MetricsConfig,
}
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "keys with values",
    "null": "null",
}


def not_typed(message: str) -> str:
    """Translate msgspec's message about a wrong type, an unknown key or a missing one."""
    text, _, place = message.partition(" - at ")
    path = place.strip("`").removeprefix("$").removeprefix(".")
    if unknown := re.search(r"unknown field `(.*)`", text):
        known = list((_STRUCTS.get(path) or SearchDimension).__struct_fields__)
        where = (
            f"{path} has a key {unknown[1]!r} that is not known"
            if path
            else f"the configuration has a key {unknown[1]!r} that is not known"
        )
        return f"{where}; the keys are {', '.join(known)}.{closest(unknown[1], known)}"
    if missing := re.search(r"missing required field `(.*)`", text):
        if path:
            return f"{path}.{missing[1]} is missing: set it in conf/{path.split('.')[0]}."
        return (
            f"no {missing[1]} is chosen: add `- {missing[1]}: CHOICE` to the defaults of conf/train.yaml, or set "
            f"{missing[1]}=CHOICE."
        )
    if kinds := re.fullmatch(r"Expected `(.*)`, got `(.*)`", text):
        expected = " or ".join(_KINDS.get(kind.strip(), kind.strip()) for kind in kinds[1].split("|"))
        return f"{path or 'the configuration'} is {_KINDS.get(kinds[2], kinds[2])}, expected {expected}."
    return f"{path or 'the configuration'}: {text[0].lower()}{text[1:]}."


def _missing_choice(conf: Path, err: Any) -> UsageError:
    missing = str(err.missing_cfg_file or "")
    group, _, choice = missing.rpartition("/")
    if group and (conf / group).is_dir():
        try:
            check_choice(conf, group, choice)
        except NotFound as not_found:
            return not_found
    groups = ", ".join(groups_of(conf))
    return NotFound(f"conf/train.yaml asks for {missing!r}, which does not exist; the groups in conf are {groups}.")


def _check_each(conf: Path, folder: Path) -> None:
    """Raise an error for the first file that cannot be read, if there is one."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for path in sorted(folder.rglob("*.yaml")):
        try:
            OmegaConf.load(path)
        except (OSError, UnicodeDecodeError, yaml.YAMLError, OmegaConfBaseException) as err:
            raise UsageError(_broken(conf / path.relative_to(folder), conf, err)) from err


def _broken(path: Path, conf: Path, err: Exception) -> str:
    name = path.relative_to(conf.parent).as_posix()
    mark = getattr(err, "problem_mark", None)
    place = f", line {mark.line + 1}" if mark is not None else ""
    problem = getattr(err, "problem", None) or " ".join(str(err).split())
    return (
        f"{name}{place} is not valid YAML: {str(problem).rstrip('.')}. Fix it, or restore it with `git checkout -- "
        f"{name}`."
    )


def _composition(conf: Path, message: str) -> str:
    if mandatory := re.search(r"You must specify '([^']*)'", message):
        group = mandatory[1]
        listed = ", ".join(sorted(path.stem for path in (conf / group).glob("*.yaml")))
        return f"no {group} is chosen in conf/train.yaml: set {group}=CHOICE; conf/{group} has {listed or 'none'}."
    if unused := re.search(r"Could not override '([^']*)'", message):
        group = unused[1]
        return (
            f"conf/train.yaml does not list the group {group!r} among its defaults: add it there, or choose it with "
            f"+{group}=CHOICE."
        )
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return f"the configuration does not compose: {' '.join(lines[:2]).rstrip('.')}."


def _file_of(conf: Path, key: Any) -> str:
    group = str(key).split(".")[0]
    return f"conf/{group}" if (conf / group).is_dir() else "conf/train.yaml"
