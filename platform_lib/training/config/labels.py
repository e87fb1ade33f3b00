"""Settings with an entry per label: YAML reads `yes`, `01` or `12:30` as something else than the text of a label."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import yaml

from platform_lib.data.contract import DataContract
from platform_lib.errors import UsageError
from platform_lib.model.artifact import category_text

_Value = TypeVar("_Value")


def labels_of(contract: DataContract) -> list[Any] | None:
    """The labels of the target; None if the contract does not list them."""
    column = contract.columns[contract.target]
    if column.allowed is None and column.type == "boolean":
        return [False, True]
    return column.allowed


def by_label(values: Mapping[Any, _Value], contract: DataContract, setting: str) -> dict[Any, _Value]:
    """The entries by the target's labels, whatever YAML made of the keys.

    Args:
        values: As read from YAML or the command line.
        contract: Whose target has the labels.
        setting: Key of the mapping, for errors.
    Raises:
        UsageError: A key is no label, may be two, or two keys are the same label.
    """
    labels = labels_of(contract)
    if labels is None:
        return dict(values)
    found: dict[Any, _Value] = {}
    for key, value in values.items():
        label = _label(key, labels, contract.target, setting)
        if label in found:
            raise UsageError(f"{setting} has two entries for {label!r}, expected one per label.")
        found[label] = value
    return found


def _label(key: Any, labels: Sequence[Any], target: str, setting: str) -> Any:
    fitting = [label for label in labels if label == key and isinstance(label, str) == isinstance(key, str)]
    fitting = fitting or [
        label
        for label in labels
        if category_text(label) == category_text(key) or (isinstance(label, str) and _is_read_as(label, key))
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        listed = ", ".join(repr(label) for label in fitting)
        raise UsageError(
            f"{setting} has an entry for {key!r}, as which YAML reads {listed}: put quotes around the label that you "
            "mean."
        )
    listed = ", ".join(repr(label) for label in labels)
    raise UsageError(f"{setting} has an entry for {key!r}, but the labels of {target!r} are {listed}.")


def _is_read_as(label: str, key: Any) -> bool:
    """Whether YAML reads an unquoted label as this key: PyYAML, or OmegaConf, which knows more numbers."""
    if isinstance(key, str):
        return False
    try:
        value = yaml.safe_load(label)
    except yaml.YAMLError:
        value = None
    if type(value) is type(key) and value == key:
        return True
    if isinstance(key, bool) or not isinstance(key, int | float):
        return False
    try:
        return float(label) == key
    except ValueError:
        return False
