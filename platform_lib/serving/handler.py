"""Handle one prediction request from bytes to bytes, the same way for every protocol.

A codec of `protocols` decodes the body and encodes the response, `batching` computes predictions, and
`http.prediction_endpoint` speaks HTTP.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from starlette.types import Receive

from platform_lib.data.rows import Rows, rows_of
from platform_lib.errors import UsageError
from platform_lib.serving.auth.access import Access
from platform_lib.serving.batching import Batcher, CompletedBatch
from platform_lib.serving.limits import BoundedExecutor, Limits, PredictionTimeout
from platform_lib.serving.models.served_model import ServedModel, Source, ready_model
from platform_lib.serving.predictor import BatchPredictions, ModelFailed
from platform_lib.serving.problems import Problem
from platform_lib.serving.protocols.codec import Codec, DecodedRequest, EncodedResponse, RequestHead
from platform_lib.serving.protocols.json_body import BodyError
from platform_lib.serving.protocols.json_structure import too_many_rows
from platform_lib.serving.request_log.no_log import NoRequestLog
from platform_lib.serving.request_log.recorder import LoggedModel, RequestLog
from platform_lib.serving.rollout.canary import Canary
from platform_lib.serving.rollout.controller import RolloutController
from platform_lib.serving.rollout.no_rollout import NoRollout
from platform_lib.serving.telemetry.logs import loggable
from platform_lib.serving.telemetry.metrics import ServerMetrics
from platform_lib.serving.telemetry.no_metrics import NoMetrics
from platform_lib.serving.telemetry.tracing import describe_request
from platform_lib.serving.transport.request_body import BodyReader

log = logging.getLogger("platform_lib.serving")

_LARGE_BODY_BYTES = 64 * 2**10
"""Larger bodies are decoded in a thread, because that takes about a millisecond."""
Decoded = TypeVar("Decoded")


def _is_quick_to_decode(body: bytes) -> bool:
    return len(body) <= _LARGE_BODY_BYTES and body[:1] == b"{"  # the first CSV imports pandas


class RequestInfo(msgspec.Struct, frozen=True, gc=False):
    """What metrics and the request log record of a request besides its rows."""

    request_id: str
    key_name: str
    protocol: str
    start: float
    """`time.perf_counter()` at its arrival."""


class RequestHandler:
    """Handles all prediction requests of one process."""

    def __init__(
        self,
        *,
        source: Source,
        limits: Limits,
        executor: BoundedExecutor,
        access: Access,
        metrics: ServerMetrics | NoMetrics,
        request_log: RequestLog | NoRequestLog,
        rollout: RolloutController | NoRollout,
    ) -> None:
        self.source, self.access, self.metrics = source, access, metrics
        self.request_log, self.rollout = request_log, rollout
        self.bodies, self.limits = BodyReader(limits), limits
        self._executor = executor
        self._batcher = Batcher(limits, executor, self._on_batch, self._count_bins)
        self._logged_models: dict[str, LoggedModel] = {}

    async def predict(self, codec: Codec, head: RequestHead, source: Receive | bytes) -> EncodedResponse:
        """Handle one request.

        Args:
            codec: The protocol of the request's path.
            head: Headers, path parameters and request id.
            source: The body, or the ASGI callable that receives it.
        Raises:
            Problem: The response is an error; has its status.
        """
        start = time.perf_counter()
        served: ServedModel | None = None
        status = 500  # until it is known; successful requests are counted with their batch
        body = b""
        self.metrics.request_started()
        try:
            caller = await self.access.check(head.headers, "predict")
            body = await self.bodies.read(head.headers, source, codec.media_types)
            # Read once per request, so that a swap never mixes two versions in one response.
            served = ready_model(self.source)
            await self.request_log.room()
            info = RequestInfo(head.request_id, caller.name, codec.name, start)
            canary = self.rollout.canary
            if canary is not None and canary.takes(head.headers, head.request_id):
                response, served = await self._predict_with_canary(canary, served, codec, head, body, info)
            else:
                response = await self._predict_or_explain(served, codec, head, body, info)
            status = 200
            return response
        except Problem as problem:
            status = problem.status
            raise
        finally:
            self.bodies.release(body)
            model, version = (served.model.name, served.model.version) if served else ("", "")
            self.metrics.request_finished()
            if status != 200:
                self.metrics.count_failure(codec.name, model, version, status, time.perf_counter() - start)
            describe_request(protocol=codec.name, model=model, version=version)

    async def _predict(
        self, served: ServedModel, codec: Codec, head: RequestHead, body: bytes, info: RequestInfo
    ) -> EncodedResponse:
        if _is_quick_to_decode(body):
            request, rows = self._decode(served, codec, head, body)
        else:
            request, rows = await self._executor.run(partial(self._decode, served, codec, head, body))
        describe_request(rows=len(rows))

        def encode(served: ServedModel, predictions: BatchPredictions) -> EncodedResponse:
            return codec.encode(predictions, request, head, served)

        response: EncodedResponse = await self._batcher.submit(served, rows, encode, info)
        return response

    async def decode(self, body: bytes, decoder: Callable[[], Decoded]) -> Decoded:
        """Decode a body, in a thread if that may take long."""
        return decoder() if _is_quick_to_decode(body) else await self._executor.run(decoder)

    def _decode(self, served: ServedModel, codec: Codec, head: RequestHead, body: bytes) -> tuple[DecodedRequest, Rows]:
        request = codec.decode(body, head, served, self.limits.max_rows)
        count = len(request.rows)
        if count == 0:
            raise UsageError("the body holds no rows, expected at least one row.")
        if count > self.limits.max_rows:
            raise UsageError(too_many_rows(f"{count} rows", self.limits.max_rows))
        if request.is_checked:
            return request, request.rows  # type: ignore[return-value]
        rows = rows_of(request.rows, served.model.contract)  # type: ignore[arg-type]
        if request.objection is not None:
            raise UsageError(request.objection)
        return request, rows

    async def _predict_or_explain(
        self, served: ServedModel, codec: Codec, head: RequestHead, body: bytes, info: RequestInfo
    ) -> EncodedResponse:
        """Turn each error into a problem with its status."""
        try:
            return await self._predict(served, codec, head, body, info)
        except BodyError as err:
            raise Problem(400, str(err)) from err
        except UsageError as err:
            raise Problem(422, str(err)) from err
        except ModelFailed as err:
            log.error(
                "%s", err, exc_info=loggable(err.__cause__, lambda: served), extra={"request_id": info.request_id}
            )
            raise Problem(500, str(err)) from err

    async def _predict_with_canary(
        self, canary: Canary, champion: ServedModel, codec: Codec, head: RequestHead, body: bytes, info: RequestInfo
    ) -> tuple[EncodedResponse, ServedModel]:
        """Respond with the canary's predictions, or with the champion's if the canary fails.

        An error that the champion reports as well is due to the request, and does not count against the canary.

        Returns:
            The response, and the version that computed it.
        Raises:
            Problem: As `_predict_or_explain`, or 503: the server is busy, and the champion would not be less so.
        """
        failure: str | None = None
        try:
            response = await self._predict(canary.served, codec, head, body, info)
            canary.succeeded()
            return response, canary.served
        except (BodyError, UsageError) as err:
            failure = f"it refuses a body that the champion accepts: {err!s:.200}"
        except (ModelFailed, PredictionTimeout) as err:
            failure = str(err)
        except Problem as problem:
            if problem.status != 404:  # 404 says that the path names another version than the canary
                raise
        response = await self._predict_or_explain(champion, codec, head, body, info)
        if failure is not None:
            log.warning("the canary fails: %s", failure, extra={"request_id": info.request_id})
            is_off = canary.failed(failure)
            self.metrics.canary_failed(canary.served.model.name, canary.served.model.version, is_off=is_off)
        return response, champion

    def _on_batch(self, batch: CompletedBatch) -> None:
        """Record a batch: metrics, request log, and the comparison with canary or shadow."""
        now = time.perf_counter()
        self._count_predictions(batch, now)
        requests = [
            (pending.info.request_id, pending.info.key_name, (now - pending.info.start) * 1000, len(pending.rows))
            for pending in batch.requests
        ]
        predictions = batch.predictions
        logged_model = self._logged_model(batch.served, predictions)
        self.request_log.batch(logged_model, requests, batch.columns, predictions.values, predictions.probabilities)
        self.rollout.compare(batch)

    def _count_predictions(self, batch: CompletedBatch, now: float) -> None:
        model, version = batch.served.model.name, batch.served.model.version
        protocols: dict[str, tuple[list[float], list[int]]] = {}
        for pending in batch.requests:
            seconds, rows = protocols.setdefault(pending.info.protocol, ([], []))
            seconds.append(now - pending.info.start)
            rows.append(len(pending.rows))
        for protocol, (seconds, rows) in protocols.items():
            self.metrics.count_predictions(protocol, model, version, seconds, rows)
        if batch.summary is not None and (bins := self.metrics.bins(version)):
            bins.add(batch.summary)

    def _count_bins(self, served: ServedModel, columns: Mapping[str, Sequence[Any]], values: Sequence[Any]) -> Any:
        """Count a batch's rows per bin of the reference profile, in the thread that computes the batch."""
        bins = self.metrics.bins(served.model.version)
        return None if bins is None else bins.tally(columns, values)

    def _logged_model(self, served: ServedModel, predictions: BatchPredictions) -> LoggedModel:
        version = served.model.version
        if version not in self._logged_models:
            contract = served.model.contract
            columns = {
                name: contract.columns[name].type for name in contract.features if not contract.columns[name].is_private
            }
            self._logged_models[version] = LoggedModel(
                served.model.name, version, contract.task, columns, predictions.classes
            )
        return self._logged_models[version]
