"""The library's own protocol, `POST /predict`: rows of names and values in, predictions and probabilities out."""

from typing import Any

import msgspec

from platform_lib.serving.predictor import BatchPredictions
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
from platform_lib.serving.protocols.json_body import decode_json
from platform_lib.serving.protocols.json_structure import SMALL_BYTES, check_names_differ, check_size
from platform_lib.serving.protocols.schemas import Schema


class RowsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /predict`."""

    rows: list[dict[str, Any]]


_decoder = msgspec.json.Decoder(RowsRequest)
_encoder = msgspec.json.Encoder()


def decode_rows(body: bytes) -> list[dict[str, Any]]:
    """Return the rows of a body.

    Raises:
        BodyError: The body is not JSON, does not have the protocol's form, or has a name twice.
    """
    request: RowsRequest = decode_json(_decoder, body, '{"rows": [{column: value, …}, …]}')
    check_names_differ(body, sum(map(len, request.rows)) - 1)
    return request.rows


class RowsCodec(Codec):
    """`POST /predict`."""

    name = "rows"
    paths = ("/predict",)
    media_types = JSON_TYPES
    operation = Operation(tag="predict", summary="Predict rows.", request_schema="Rows", response_schema="Answer")

    def decode(self, body: bytes, head: RequestHead, served: CodecModel, max_rows: int) -> DecodedRequest:
        """Decode the rows, with the contract's own decoder where it accepts them."""
        if len(body) > SMALL_BYTES:
            check_size(body, max_rows=max_rows, columns=served.decoders.columns)
        rows = served.decoders.rows.decode(body)
        return DecodedRequest(rows=decode_rows(body)) if rows is None else DecodedRequest(rows=rows, is_checked=True)

    def encode(
        self, predictions: BatchPredictions, request: DecodedRequest, head: RequestHead, served: CodecModel
    ) -> EncodedResponse:
        """Encode `request_id`, `model`, `predictions` and, for classifiers, `probabilities`."""
        model = {"name": served.model.name, "version": served.model.version}
        document = {"request_id": head.request_id, "model": model, **predictions.as_json()}
        return EncodedResponse(_encoder.encode(document))

    def schemas(self, served: CodecModel | None) -> dict[str, Schema]:
        """The schemas `Row`, which other protocols refer to, `Rows` and `Answer`."""
        if served is None:
            row = {
                "type": "object",
                "description": "Column name to value. GET /model lists the columns once a model is loaded.",
            }
            return {"Row": row, "Rows": schemas.rows_schema(), "Answer": {"type": "object"}}
        contract = served.model.contract
        return {
            "Row": schemas.row_schema(contract, served.example),
            "Rows": schemas.rows_schema(),
            "Answer": schemas.predictions_schema(contract, served.example_prediction.classes),
        }

    def examples(self, served: CodecModel) -> dict[str, Any]:
        """The example row."""
        return {"rows": {"rows": [served.example]}}
