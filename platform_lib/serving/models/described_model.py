"""What may be told of a version: names and types of its columns, and to callers with a key also known values."""

import json
import shlex
import sys
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from platform_lib.data.contract import Column
from platform_lib.data.sample_rows import made_up_row
from platform_lib.model.artifact import LoadedModel, Predictions
from platform_lib.serving.models.served_model import ServedModel
from platform_lib.serving.protocols.codec import ContractDecoders


@dataclass(frozen=True, kw_only=True, slots=True)
class DescribedModel:
    """A version as the API's description presents it; satisfies `protocols.codec.CodecModel`."""

    model: LoadedModel
    features: tuple[str, ...]
    decoders: ContractDecoders
    example: dict[str, Any]
    """Empty if there is none."""
    example_prediction: Predictions


def open_example(served: ServedModel) -> dict[str, Any] | None:
    """Return a made-up row that the version predicts, for callers without a key and for logs; None if it refuses it."""
    return made_up_row(served.model.contract) if served.predicts_made_up_row else None


def public_view(served: ServedModel) -> DescribedModel:
    """Return the version for callers without a key: no known value, range or class, and a made-up example."""
    contract = served.model.contract
    columns = {name: _without_values(column) for name, column in contract.columns.items()}
    prediction = served.example_prediction
    return DescribedModel(
        model=replace(served.model, contract=msgspec.structs.replace(contract, columns=columns)),
        features=served.features,
        decoders=served.decoders,
        example=open_example(served) or {},
        example_prediction=Predictions(np.empty(0, prediction.values.dtype), prediction.probabilities),
    )


def keyed_view(served: ServedModel) -> DescribedModel:
    """Return the version for callers with a key: everything but the values of sensitive columns."""
    contract = served.model.contract
    columns = {
        name: _without_values(column) if column.sensitive else column for name, column in contract.columns.items()
    }
    return DescribedModel(
        model=replace(served.model, contract=msgspec.structs.replace(contract, columns=columns)),
        features=served.features,
        decoders=served.decoders,
        example=served.example,
        example_prediction=served.example_prediction,
    )


def _without_values(column: Column) -> Column:
    return Column(type=column.type, nullable=column.nullable)


def curl_example(url: str, served: ServedModel, *, needs_key: bool) -> str:
    """Return an example request for the shell of this system, with made-up values, because the output may be kept."""
    if (row := open_example(served)) is None:
        return "It refuses unknown categories: with a key, GET /model has a row to try."
    body = json.dumps({"rows": [row]}, ensure_ascii=False)
    if sys.platform == "win32":
        key = ' -H "Authorization: Bearer %KEY%"' if needs_key else ""
        quoted = '"' + body.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f'Try:\ncurl -s {url}/predict{key} -H "Content-Type: application/json" -d {quoted}'
    key = ' -H "Authorization: Bearer $KEY"' if needs_key else ""
    return f"Try:\ncurl -s {url}/predict{key} -H 'Content-Type: application/json' -d {shlex.quote(body)}"
