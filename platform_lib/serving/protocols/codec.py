"""What a prediction protocol consists of: one `Codec`, and the values that pass through it.

`rows`, `mlflow` and `open_inference` provide one codec each, and `codecs` lists them. `http.routes` makes routes of a
codec's paths, `handler` decodes and encodes with it, and `http.openapi` puts its schemas into the API's description.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from platform_lib.data.contract import DataContract
from platform_lib.data.rows import Rows
from platform_lib.model.artifact import LoadedModel, Predictions
from platform_lib.serving.predictor import BatchPredictions
from platform_lib.serving.protocols.row_decoder import RowDecoder
from platform_lib.serving.protocols.schemas import Schema
from platform_lib.serving.protocols.tensor_decoder import TensorDecoder

JSON_TYPES = ("application/json",)


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """Everything of an HTTP request except its body."""

    headers: Mapping[str, str]
    """Names in lower case."""
    path_params: Mapping[str, str]
    request_id: str


class DecodedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a request."""

    rows: Sequence[Mapping[str, Any]] | Rows
    is_checked: bool = False
    """Whether the rows already have the contract's types. Otherwise they are names and values to be validated."""
    objection: str | None = None
    """What is wrong with the body even if its rows fit the contract."""
    options: Any = None
    """Whatever the codec itself needs to encode the response."""


class EncodedResponse(msgspec.Struct, frozen=True, gc=False):
    """The body of a successful response, with the headers that describe it."""

    body: bytes
    media_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class ContractDecoders:
    """Decoders compiled for one data contract. A version that is loaded compiles them once."""

    def __init__(self, contract: DataContract) -> None:
        self.columns = len(contract.columns)
        self.rows = RowDecoder(contract, "rows")
        self.dataframe_records = RowDecoder(contract, "dataframe_records")
        self.tensors = TensorDecoder(contract)


class CodecModel(Protocol):
    """What a codec needs to know of a version; `models.served_model.ServedModel` provides it."""

    @property
    def model(self) -> LoadedModel:
        """Name, version and data contract."""

    @property
    def features(self) -> tuple[str, ...]:
        """The contract's features, in order."""

    @property
    def decoders(self) -> ContractDecoders:
        """Decoders for the contract."""

    @property
    def example(self) -> dict[str, Any]:
        """A row that the model accepts."""

    @property
    def example_prediction(self) -> Predictions:
        """The prediction for the example."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """How the API's description presents a protocol."""

    tag: str
    summary: str
    request_schema: str
    """Name of a schema among the codec's `schemas`."""
    response_schema: str
    not_found: bool = False
    """Whether the path names a model, so that the response can be 404."""


class Codec(Protocol):
    """One prediction protocol. Codecs hold no state, so one instance serves all requests."""

    name: str
    """Value of the label `protocol` in metrics and traces."""
    paths: tuple[str, ...]
    """Patterns of the paths, as in `/v2/models/{name}/infer`."""
    media_types: tuple[str, ...]
    """Accepted values of Content-Type; the empty string accepts a request without one."""
    operation: Operation

    def decode(self, body: bytes, head: RequestHead, served: CodecModel, max_rows: int) -> DecodedRequest:
        """Decode a body into rows for this version.

        The handler counts the rows. A codec only sees to it that a body with far more rows is refused before it is
        decoded, with `json_structure.check_size`.

        Raises:
            BodyError: The body does not have the protocol's form.
            UsageError: A value does not fit the contract, or there are far more than `max_rows` rows.
            Problem: Any other status, such as 404 for a version that is not served.
        """

    def encode(
        self, predictions: BatchPredictions, request: DecodedRequest, head: RequestHead, served: CodecModel
    ) -> EncodedResponse:
        """Encode the predictions for one request, n rows in and n predictions out."""

    def schemas(self, served: CodecModel | None) -> dict[str, Schema]:
        """JSON schemas of bodies, by name; generic ones while no version is loaded."""

    def examples(self, served: CodecModel) -> dict[str, Any]:
        """Request bodies that this version accepts, by title."""
