"""The held-out rows that live rows are compared with, as the request log would hold them."""

from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from platform_lib.data.contract import DataContract
from platform_lib.errors import ServiceError
from platform_lib.model.reference_rows import REFERENCE_FILE, ReferenceRows
from platform_lib.registry.versions import Registry
from platform_lib.serving.request_log.files import logged_name, prediction_schema


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """n held-out rows of a version, with its predictions."""

    table: pa.Table
    """Features and prediction, named as in the request log, shape (n, features + 1)."""
    truth: NDArray[np.float64] | None
    """Of a regression whose target is not private, shape (n,)."""


def reference_of(stored: ReferenceRows, contract: DataContract) -> Reference:
    """Stored rows as a table.

    Args:
        stored: As written by the training.
        contract: Of the version.
    """
    kinds: dict[str, str] = {name: contract.columns[name].type for name in stored.features}
    schema = prediction_schema(kinds, contract.task)
    columns = {logged_name(name): values for name, values in stored.features.items()}
    columns["prediction"] = stored.predictions
    arrays = {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}
    truth = None if stored.truth is None else np.asarray(stored.truth, dtype=np.float64)
    return Reference(table=pa.table(arrays), truth=truth)


def read_reference(registry: Registry, run_id: str, contract: DataContract) -> Reference | None:
    """The held-out rows that a training stored; None if it stored none, or they cannot be read."""
    try:
        text = registry.run_file(run_id, REFERENCE_FILE) if run_id else None
        return None if text is None else reference_of(msgspec.json.decode(text, type=ReferenceRows), contract)
    except (ServiceError, msgspec.DecodeError, KeyError, pa.ArrowException):
        return None
