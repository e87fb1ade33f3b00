"""MLflow's scoring protocol, `POST /invocations`: its four input forms in, `{"predictions": […]}` out, as `mlflow models serve` answers.

Source of the forms: MLflow's documentation of its inference server (dataframe_split, dataframe_records, instances, inputs).
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from platform_lib.model.artifact import Predictions
from platform_lib.serving.protocols.rows import BodyError, decode

_FORM = '{"dataframe_split": {"columns": […], "data": [[…], …]}}, {"dataframe_records": [{…}, …]}, {"instances": […]} or {"inputs": …}'


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    columns: list[str]
    data: list[list[Any]]
    index: list[Any] | None = None


class _Invocation(msgspec.Struct, forbid_unknown_fields=True):
    dataframe_split: _Split | None = None
    dataframe_records: list[dict[str, Any]] | None = None
    instances: list[Any] | None = None
    inputs: dict[str, Any] | list[Any] | None = None
    params: dict[str, Any] | None = None
    """MLflow's clients may send it; a scikit-learn model takes none."""


_decoder = msgspec.json.Decoder(_Invocation)


def decode_invocation(body: bytes, features: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a body.

    Args:
        features: Names that values without names (lists of lists) are for, in this order.
    Raises:
        BodyError: Not JSON, none or several of the four forms, or lists of unequal length.
    """
    request: _Invocation = decode(_decoder, body, _FORM)
    if request.params:
        raise BodyError(f"params holds {next(iter(request.params))!r:.80}, but this model takes no parameters.")
    forms = [
        name
        for name in ("dataframe_split", "dataframe_records", "instances", "inputs")
        if getattr(request, name) is not None
    ]
    if len(forms) != 1:
        raise BodyError(f"the body has {' and '.join(forms) or 'none'} of the four forms, expected one: {_FORM}.")
    if request.dataframe_split is not None:
        return _from_split(request.dataframe_split)
    if request.dataframe_records is not None:
        return request.dataframe_records
    if request.instances is not None:
        return _from_instances(request.instances, features, "instances")
    assert request.inputs is not None
    return (
        _from_columns(request.inputs)
        if isinstance(request.inputs, dict)
        else _from_instances(request.inputs, features, "inputs")
    )


def _from_split(split: _Split) -> list[dict[str, Any]]:
    if len(set(split.columns)) != len(split.columns):
        raise BodyError("dataframe_split.columns names a column twice.")
    for number, values in enumerate(split.data):
        if len(values) != len(split.columns):
            raise BodyError(
                f"row {number}: dataframe_split.data has {len(values)} values for {len(split.columns)} columns."
            )
    return [dict(zip(split.columns, values, strict=True)) for values in split.data]


def _from_instances(instances: list[Any], features: Sequence[str], form: str) -> list[dict[str, Any]]:
    rows = []
    for number, instance in enumerate(instances):
        if isinstance(instance, list):
            if len(instance) != len(features):
                raise BodyError(
                    f"row {number}: {form} has {len(instance)} values for the {len(features)} columns {', '.join(features)}."
                )
            instance = dict(zip(features, instance, strict=True))
        if not isinstance(instance, dict):
            raise BodyError(f"row {number}: {form} holds {instance!r:.80}, expected an object or a list of values.")
        rows.append(instance)
    return rows


def _from_columns(columns: dict[str, Any]) -> list[dict[str, Any]]:
    # One row may come as single values, n rows as lists.
    lists = {name: values if isinstance(values, list) else [values] for name, values in columns.items()}
    lengths = {len(values) for values in lists.values()}
    if len(lengths) > 1:
        raise BodyError(
            f"inputs has columns of {' and '.join(map(str, sorted(lengths)))} values, expected as many in each."
        )
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def encode_invocation(predictions: Predictions) -> dict[str, Any]:
    """What MLflow's own server answers for a scikit-learn model."""
    return {"predictions": predictions.values.tolist()}
