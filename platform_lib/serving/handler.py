"""One request's way from bytes to bytes, the same for every protocol: who asks, what, the answer, and what is kept of it.

`protocols` read and write bodies, `batching` answers, `endpoint` speaks HTTP, `routes` says under which paths.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

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
from platform_lib.serving.protocols.rows import BodyError
from platform_lib.serving.request_log.recorder import LoggedModel, RequestLog
from platform_lib.serving.rollout.canary import Canary
from platform_lib.serving.rollout.controller import RolloutController
from platform_lib.serving.telemetry.metrics import ServerMetrics
from platform_lib.serving.telemetry.tracing import describe_request
from platform_lib.serving.transport.request_body import BodyReader
from platform_lib.serving.transport.responses import EncodedResponse

log = logging.getLogger("platform_lib.serving")

_LARGE_BODY_BYTES = 64 * 2**10
"""Larger bodies are decoded in a thread: info a millisecond."""


class DecodedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a body asks for."""

    rows: Sequence[Mapping[str, Any]] | Rows
    is_checked: bool = False
    """Whether they are rows of the contract already, or names and values still to be judged."""
    form: Any = None
    """Whatever the protocol needs again for its answer."""


Read = Callable[[bytes, ServedModel], DecodedRequest]
Write = Callable[[ServedModel, DecodedRequest, BatchPredictions, str], EncodedResponse]


class RequestInfo(msgspec.Struct, frozen=True, gc=False):
    """What is kept of a request beside its rows."""

    request_id: str
    key_name: str
    protocol: str
    start: float


class RequestHandler:
    """What answers every request of this process."""

    def __init__(
        self,
        *,
        source: Source,
        limits: Limits,
        executor: BoundedExecutor,
        access: Access,
        metrics: ServerMetrics | None = None,
        request_log: RequestLog | None = None,
        rollout: RolloutController | None = None,
    ) -> None:
        self.source, self.access, self.metrics, self.request_log, self.rollout = (
            source,
            access,
            metrics,
            request_log,
            rollout,
        )
        self.bodies = BodyReader(limits)
        self._limits, self._executor = limits, executor
        self._batcher = Batcher(limits, executor, self._keep, self._binned)
        self._logged: dict[str, LoggedModel] = {}

    async def predict(
        self,
        headers: Mapping[str, str],
        source: Receive | bytes,
        request_id: str,
        protocol: str,
        media_types: Sequence[str],
        read: Read,
        write: Write,
    ) -> EncodedResponse:
        """Answer a prediction request.

        Args:
            headers: Of the request, names in lower case.
            source: Gives its body, or is it.
            protocol: Its name in the metrics.
            media_types: What its bodies may be declared as.
            read: Turns a body into rows, for the model that answers them.
            write: Turns answers into the body of a response.
        Raises:
            Problem: Whatever stands in the way, with its status.
        """
        start = time.perf_counter()
        served: ServedModel | None = None
        code = 500  # until it is known better; answers themselves are counted with their batch
        if self.metrics:
            self.metrics.request_started()
        try:
            caller = await self.access.check(headers, "predict")
            body = await self.bodies.read(headers, source, media_types)
            # Asked once a request, so that a swap never mixes two versions in one answer.
            served = ready_model(self.source)
            if self.request_log:
                await self.request_log.room()
            info = RequestInfo(request_id, caller.name, protocol, start)
            canary = self.rollout.canary if self.rollout else None
            if canary is not None and canary.takes(headers, request_id):
                written, served = await self._with_canary(canary, served, body, read, write, info)
            else:
                written = await self._answer(served, body, read, write, info)
            code = 200
            return written
        except Problem as problem:
            code = problem.status
            raise
        finally:
            self._count(protocol, served, code, time.perf_counter() - start)
            model, version = (served.model.name, served.model.version) if served else ("", "")
            describe_request(protocol=protocol, model=model, version=version)

    async def _predict(
        self, served: ServedModel, body: bytes, read: Read, write: Write, info: RequestInfo
    ) -> EncodedResponse:
        if len(body) > _LARGE_BODY_BYTES:
            decoded, rows = await self._executor.run(partial(self._read, served, body, read))
        else:
            decoded, rows = self._read(served, body, read)
        describe_request(rows=len(rows))
        request_id = info.request_id
        written: EncodedResponse = await self._batcher.submit(
            served, rows, lambda served, answers: write(served, decoded, answers, request_id), info
        )
        return written

    async def _with_canary(
        self, canary: Canary, champion: ServedModel, body: bytes, read: Read, write: Write, info: RequestInfo
    ) -> tuple[EncodedResponse, ServedModel]:
        """The canary's answer, or the champion's where the canary has none: its failure costs no caller an answer.

        What the champion cannot answer either is the caller's fault or the rows', and is not held against the canary.

        Returns:
            The answer, and the version that gave it.
        Raises:
            Problem: As `_answer`, or 503: the server is busy, and the champion would not be less so.
        """
        failure: str | None = None
        try:
            written = await self._predict(canary.served, body, read, write, info)
            canary.succeeded()
            return written, canary.served
        except (BodyError, UsageError) as err:
            failure = f"it refuses a body that the champion takes: {err!s:.200}"
        except (ModelFailed, PredictionTimeout) as err:
            failure = str(err)
        except Problem as problem:
            if problem.status != 404:  # which says that the path names another version than the canary
                raise
        written = await self._answer(champion, body, read, write, info)
        if failure is not None:
            log.warning("the canary fails: %s", failure, extra={"request_id": info.request_id})
            is_off = canary.failed(failure)
            if self.metrics:
                self.metrics.canary_failed(canary.served.model.name, canary.served.model.version, is_off=is_off)
        return written, champion

    async def _answer(
        self, served: ServedModel, body: bytes, read: Read, write: Write, info: RequestInfo
    ) -> EncodedResponse:
        try:
            return await self._predict(served, body, read, write, info)
        except BodyError as err:
            raise Problem(400, str(err)) from err
        except UsageError as err:
            raise Problem(422, str(err)) from err
        except ModelFailed as err:
            log.error("%s", err, exc_info=err.__cause__, extra={"request_id": info.request_id})
            raise Problem(500, str(err)) from err

    def _read(self, served: ServedModel, body: bytes, read: Read) -> tuple[DecodedRequest, Rows]:
        decoded = read(body, served)
        count = len(decoded.rows)
        if count == 0:
            raise UsageError("rows is empty, expected at least one row.")
        if count > self._limits.max_rows:
            raise UsageError(
                f"rows holds {count} rows, but one request may hold {self._limits.max_rows}. Send them in parts, or use `mlp predict` for files."
            )
        return decoded, decoded.rows if decoded.is_checked else rows_of(decoded.rows, served.model.contract)  # type: ignore[arg-type, return-value]

    def _keep(self, batch: CompletedBatch) -> None:
        now = time.perf_counter()
        served, answers = batch.served, batch.predictions
        if self.metrics:
            self._count_answers(self.metrics, batch, now)
        if self.request_log:
            requests = [
                (
                    pending.info.request_id,
                    pending.info.key_name,
                    (now - pending.info.start) * 1000,
                    len(pending.rows),
                )
                for pending in batch.requests
            ]
            self.request_log.batch(
                self._logged_model(served, answers), requests, batch.columns, answers.values, answers.probabilities
            )
        if self.rollout:
            self.rollout.compare(batch)

    def _count_answers(self, metrics: ServerMetrics, batch: CompletedBatch, now: float) -> None:
        model, version = batch.served.model.name, batch.served.model.version
        protocols: dict[str, tuple[list[float], list[int]]] = {}
        for pending in batch.requests:
            seconds, rows = protocols.setdefault(pending.info.protocol, ([], []))
            seconds.append(now - pending.info.start)
            rows.append(len(pending.rows))
        for protocol, (seconds, rows) in protocols.items():
            metrics.count_predictions(protocol, model, version, seconds, rows)
        if batch.summary is not None and (bins := metrics.bins(version)):
            bins.add(batch.summary)

    def _binned(self, served: ServedModel, columns: Mapping[str, Sequence[Any]], values: Sequence[Any]) -> Any:
        """How a batch's rows are spread over the reference profile's bins, found where the model is decoded."""
        bins = self.metrics.bins(served.model.version) if self.metrics else None
        return None if bins is None else bins.tally(columns, values)

    def _logged_model(self, served: ServedModel, answers: BatchPredictions) -> LoggedModel:
        version = served.model.version
        if version not in self._logged:
            contract = served.model.contract
            columns = {name: contract.columns[name].type for name in contract.features if contract.columns[name].log}
            self._logged[version] = LoggedModel(served.model.name, version, contract.task, columns, answers.classes)
        return self._logged[version]

    def _count(self, protocol: str, served: ServedModel | None, code: int, seconds: float) -> None:
        if self.metrics is None:
            return
        self.metrics.request_finished()
        if code != 200:
            model, version = (served.model.name, served.model.version) if served else ("", "")
            self.metrics.count_failure(protocol, model, version, code, seconds)
