"""Check that a column can be the target of the project's task."""

import dataclasses
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from platform_lib.data.contract import Task
from platform_lib.data.imports.type_inference import InferredColumn, limits
from platform_lib.errors import UsageError

MAX_CLASSES = 200


def checked_target(target: InferredColumn, name: str, task: Task, file: Path | str) -> InferredColumn:
    """The target as the task needs it: a list of labels for classification, a range for regression.

    Raises:
        UsageError: The target has one value, fits the other task, or has a class with a single row.
    """
    if target.distinct == 1:
        value = target.values.drop_null()[0].as_py()
        raise UsageError(
            f"the target {name!r} has only one value in {file}, {value!r:.60}: there is nothing to learn; choose "
            "another with --target."
        )
    return _classes(target, name) if task == "classification" else _numbers(target, name)


def _numbers(target: InferredColumn, name: str) -> InferredColumn:
    kind = target.column.type
    if kind not in ("integer", "number"):
        example = target.values.drop_null()[0].as_py()
        raise UsageError(
            f"the target {name!r} is of type {kind}, such as {str(example)!r:.60}, but this project's task is "
            "regression, which predicts a number. "
            "Choose another with --target, or start a project with task classification (task in [tool.mlp] says which "
            "this is)."
        )
    if target.missing:  # an infinite value became missing
        raise UsageError(f"the target {name!r} is infinite in {target.missing} rows; fix or remove them.")
    return target


def _classes(target: InferredColumn, name: str) -> InferredColumn:
    kind = target.column.type
    values = target.values
    if kind == "datetime":
        raise UsageError(
            f"the target {name!r} holds dates, but this project's task is classification, which predicts a class; "
            "choose another with --target."
        )
    if kind == "number":
        whole = bool(pc.all(pc.equal(values, pc.floor(values))).as_py()) and not target.missing
        if not whole or target.distinct > MAX_CLASSES:
            raise _not_classes(target, name)
        values = values.cast(pa.int64())
        kind = "integer"
    if target.distinct > MAX_CLASSES:
        raise _not_classes(target, name)
    counts = pc.value_counts(values)
    for entry in counts.to_pylist():
        if entry["counts"] == 1:
            raise UsageError(
                f"the class {entry['values']!r:.60} of the target {name!r} has a single row, expected two or more: to "
                "learn from and to test on. "
                "Add rows, remove the row, or merge the class with another."
            )
    column = msgspec.structs.replace(limits(values, kind, target.distinct, is_label=True), csv=target.column.csv)
    sizes = ", ".join(
        f"{entry['values']} {entry['counts']}" for entry in sorted(counts.to_pylist(), key=lambda e: -e["counts"])[:10]
    )
    notice = f"{target.distinct} classes: {sizes}" + (" and more" if target.distinct > 10 else "")
    return dataclasses.replace(target, column=column, values=values, notices=(*target.notices, notice))


def _not_classes(target: InferredColumn, name: str) -> UsageError:
    example = target.values.drop_null()[0].as_py()
    return UsageError(
        f"the target {name!r} has {target.distinct} different values, such as {str(example)!r:.60}, but this project's "
        "task is classification, "
        f"which takes up to {MAX_CLASSES} classes and no fractions. Choose another with --target, or start a project "
        "with task regression "
        "(task in [tool.mlp] says which this is)."
    )
