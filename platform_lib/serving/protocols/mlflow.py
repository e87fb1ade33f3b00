"""MLflow's scoring protocol, `POST /invocations`: four input forms in, `{"predictions": […]}` out.

Source: MLflow's documentation of its inference server (dataframe_split, dataframe_records, instances, inputs).
"""

from collections.abc import Sequence
from email.message import Message
from typing import Any

import msgspec

from platform_lib.serving.predictor import BatchPredictions
from platform_lib.serving.problems import Problem
from platform_lib.serving.protocols import schemas
from platform_lib.serving.protocols.codec import (
    JSON_TYPES,
    Codec,
    CodecModel,
    DecodedRequest,
    EncodedResponse,
    Operation,
    RequestHead,
)
from platform_lib.serving.protocols.csv_rows import decode_csv
from platform_lib.serving.protocols.json_body import BodyError, decode_json
from platform_lib.serving.protocols.json_structure import SMALL_BYTES, check_names_differ, check_size
from platform_lib.serving.protocols.schemas import Schema

_FORM = (
    '{"dataframe_split": {"columns": […], "data": [[…], …]}}, {"dataframe_records": [{…}, …]}, '
    '{"instances": […]} or {"inputs": …}'
)


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
    """MLflow clients may send it empty; a scikit-learn model takes no parameters."""


_CSV = "text/csv"
_decoder = msgspec.json.Decoder(_Invocation)
_encoder = msgspec.json.Encoder()


def decode_invocation(body: bytes, features: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a body.

    Args:
        body: The bytes of the request.
        features: Names for values without names (lists of lists), in this order.
    Raises:
        BodyError: The body is not JSON, has none or several of the four forms, has lists of unequal length, or has a
            name twice.
    """
    request: _Invocation = decode_json(_decoder, body, _FORM)
    if request.params:
        raise BodyError(f"params holds {next(iter(request.params))!r:.80}, but this model takes no parameters.")
    forms = [
        name
        for name in ("dataframe_split", "dataframe_records", "instances", "inputs")
        if getattr(request, name) is not None
    ]
    if len(forms) != 1:
        raise BodyError(f"the body has {' and '.join(forms) or 'none'} of the four forms, expected one: {_FORM}.")
    rows = _rows(request, features)
    commas = sum(map(len, rows)) - 1
    if (split := request.dataframe_split) is not None:
        commas += len(split.columns) + (0 if split.index is None else len(split.index))
    check_names_differ(body, commas)
    return rows


def _rows(request: _Invocation, features: Sequence[str]) -> list[dict[str, Any]]:
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
                    f"row {number}: {form} has {len(instance)} values "
                    f"for the {len(features)} columns {', '.join(features)}."
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


def _check_charset(content_type: str) -> None:
    message = Message()
    message["Content-Type"] = content_type
    charset = message.get_content_charset("utf-8")
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise Problem(415, f"the body is declared as CSV in {charset!r:.40}, expected utf-8.")


class MlflowCodec(Codec):
    """`POST /invocations`."""

    name = "mlflow"
    paths = ("/invocations",)
    media_types = (*JSON_TYPES, _CSV)
    operation = Operation(
        tag="mlflow",
        summary="Predict rows as `mlflow models serve` does: dataframe_split, dataframe_records, instances or inputs.",
        request_schema="Invocation",
        response_schema="InvocationAnswer",
    )

    def decode(self, body: bytes, head: RequestHead, served: CodecModel, max_rows: int) -> DecodedRequest:
        """Decode one of the four forms, dataframe_records with the contract's own decoder where it accepts them; or
        CSV."""
        decoder = served.decoders.dataframe_records
        is_quick = len(body) <= SMALL_BYTES and body[:1] == b"{"
        if is_quick and (rows := decoder.decode(body)) is not None:
            return DecodedRequest(rows=rows, is_checked=True)
        if head.headers.get("content-type", "")[: len(_CSV)].lower() == _CSV:
            _check_charset(head.headers["content-type"])
            return DecodedRequest(rows=decode_csv(body, served.model.contract, max_rows))
        check_size(body, max_rows=max_rows, columns=served.decoders.columns)
        if not is_quick and (rows := decoder.decode(body)) is not None:
            return DecodedRequest(rows=rows, is_checked=True)
        return DecodedRequest(rows=decode_invocation(body, served.features))

    def encode(
        self, predictions: BatchPredictions, request: DecodedRequest, head: RequestHead, served: CodecModel
    ) -> EncodedResponse:
        """Encode what the MLflow server returns for a scikit-learn model."""
        return EncodedResponse(_encoder.encode({"predictions": predictions.part_values}))

    def schemas(self, served: CodecModel | None) -> dict[str, Schema]:
        """The schemas `Invocation` and `InvocationAnswer`."""
        answer = {"type": "object", "required": ["predictions"], "properties": {"predictions": {"type": "array"}}}
        contract = served.model.contract if served else None
        return {"Invocation": schemas.invocation_schema(contract), "InvocationAnswer": answer}

    def examples(self, served: CodecModel) -> dict[str, Any]:
        """The example row in each of the four forms."""
        row = served.example
        names, values = list(served.features), [row[name] for name in served.features]
        return {
            "dataframe_split": {"dataframe_split": {"columns": names, "data": [values]}},
            "dataframe_records": {"dataframe_records": [row]},
            "instances": {"instances": [values]},
            "inputs": {"inputs": row},
        }
