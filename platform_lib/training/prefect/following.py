"""Follow a flow run to its end: states, current step and log."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from platform_lib.errors import ServiceError
from platform_lib.training.prefect.api import PrefectApi

_POLL_S = 1.0
_PAGE = 200
_ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_LAST_LINES_S = 4.0
"""How long after the end lines of the log may still come: workers send theirs in batches."""
_UNREACHABLE_S = 120.0
_WORKERS = "prefect.flow_runs."
"""Start of the names of loggers of the worker, which says what happened to a pod; the training's have no more parts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunState:
    """The state of a flow run."""

    type: str
    """In Prefect's words, such as `RUNNING` or `COMPLETED`."""
    name: str
    """Within the type, such as `Refused`."""
    message: str
    started: bool
    """Whether the training itself has started, in a pod."""
    reason: str = ""
    """The last warning of the worker about a run that failed, such as `out of memory`."""

    @property
    def ended(self) -> bool:
        """Whether it is a final state."""
        return self.type in _ENDED


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLine:
    """A line of the run's log."""

    time: str
    """ISO 8601, in UTC."""
    text: str


def follow(
    api: PrefectApi,
    run_id: str,
    *,
    on_line: Callable[[LogLine], None],
    on_state: Callable[[RunState, str], None],
) -> RunState:
    """Follow a run until it ends.

    Args:
        api: The team's Prefect.
        run_id: Id of the flow run.
        on_line: Called with each line of the log, once.
        on_state: Called regularly with the state and the current step, which may be empty.
    Returns:
        The final state.
    Raises:
        ServiceError: Prefect did not answer for two minutes, or the run was deleted.
    """
    log = _Log(api, run_id)
    answered = time.monotonic()
    while True:
        try:
            state = read_state(api, run_id)
            for line in log.new():
                on_line(line)
            on_state(state, _step(api, run_id) if state.type == "RUNNING" else "")
            answered = time.monotonic()
        except ServiceError:
            if time.monotonic() - answered > _UNREACHABLE_S:
                raise
            state = None
        if state is not None and state.ended:
            return _with_reason(state, log, on_line)
        time.sleep(_POLL_S)


def read_state(api: PrefectApi, run_id: str) -> RunState:
    """Return the state of a run.

    Raises:
        ServiceError: The run does not exist, or Prefect does not answer.
    """
    run = api.ask("GET", f"flow_runs/{run_id}")
    if run is None:
        raise ServiceError(f"Prefect no longer has the run {run_id}: somebody deleted it.")
    state = run["state"]
    return RunState(
        type=state["type"],
        name=state["name"],
        message=" ".join((state.get("message") or "").split()),
        started=run.get("start_time") is not None,
    )


def cancel(api: PrefectApi, run_id: str) -> None:
    """Ask Prefect to stop a run; the worker then deletes its pod."""
    state = {"type": "CANCELLING", "name": "Cancelling"}
    api.ask("POST", f"flow_runs/{run_id}/set_state", {"state": state})


class _Log:
    """The lines of a run's log, in order; remembers which ones were returned."""

    def __init__(self, api: PrefectApi, run_id: str) -> None:
        self._api, self._run_id, self._read = api, run_id, set[str]()
        self.warnings: list[str] = []
        self.is_closed = False
        """Whether the flow itself has written its last line; the line of a pod that died never comes."""

    def new(self) -> list[LogLine]:
        """Return the lines that came since the last call.

        Lines are sorted by the time at which they were written, so a late one may stand before others: all are read.
        """
        lines, offset = [], 0
        while True:
            body = {
                "logs": {"flow_run_id": {"any_": [self._run_id]}},
                "sort": "TIMESTAMP_ASC",
                "limit": _PAGE,
                "offset": offset,
            }
            page: list[dict[str, Any]] = self._api.ask("POST", "logs/filter", body) or []
            for entry in page:
                if entry["id"] in self._read or _is_noise(entry):
                    continue
                lines.append(LogLine(time=str(entry["timestamp"]), text=entry["message"].rstrip()))
                if entry["name"].startswith(_WORKERS) and entry["level"] >= logging.WARNING:
                    self.warnings.append(" ".join(entry["message"].split()))
            self._read |= {entry["id"] for entry in page}
            self.is_closed |= any(
                entry["name"] == "prefect.flow_runs" and entry["message"].startswith("Finished in state")
                for entry in page
            )
            if len(page) < _PAGE:
                return lines
            offset += _PAGE


def _is_noise(entry: dict[str, Any]) -> bool:
    """Whether it is Prefect's line about the end of a step, which does not name the step."""
    return bool(entry["name"] == "prefect.task_runs" and entry["message"] == "Finished in state Completed()")


def _with_reason(state: RunState, log: _Log, on_line: Callable[[LogLine], None]) -> RunState:
    """Read the last lines of the log; of a run that failed, the worker's last warning is the reason."""
    deadline = time.monotonic() + _LAST_LINES_S
    while time.monotonic() < deadline:
        for line in log.new():
            on_line(line)
        if log.is_closed:
            break
        time.sleep(_POLL_S)
    return RunState(
        type=state.type,
        name=state.name,
        message=state.message,
        started=state.started,
        reason=log.warnings[-1] if log.warnings and state.type in ("FAILED", "CRASHED") else "",
    )


def _step(api: PrefectApi, run_id: str) -> str:
    body = {
        "flow_runs": {"id": {"any_": [run_id]}},
        "task_runs": {"state": {"type": {"any_": ["RUNNING"]}}},
        "limit": 1,
    }
    found = api.ask("POST", "task_runs/filter", body) or []
    return str(found[0]["name"]).rpartition("-")[0] if found else ""
