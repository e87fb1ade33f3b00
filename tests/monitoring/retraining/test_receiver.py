"""The receiver of alerts: who may call it, what starts a retraining, and that nothing accepted is lost."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from platform_lib.errors import CheckFailed, NotFound, ServiceError, UsageError
from platform_lib.monitoring.retraining.inbox import Inbox
from platform_lib.monitoring.retraining.receiver import LARGEST_BODY, Receiver, ensure_token, receiver_app
from platform_lib.monitoring.retraining.retrain import Reason, Started
from tests.waiting import wait_until

TOKEN = "a-token-of-the-tests-only"
HOUR = 3600.0


def call(*, name: str = "ModelDrift", model: str = "loans", status: str = "firing", n: int = 0) -> dict[str, Any]:
    """A call as Alertmanager makes it, with one alert; another `n` is another alert."""
    alert = {
        "status": status,
        "labels": {"alertname": name, "model": model, "feature": "income", "severity": "warning"},
        "annotations": {"summary": "income of loans has drifted."},
        "startsAt": f"2026-03-01T10:0{n}:00.123Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": f"f{n}",
    }
    return {"version": "4", "groupKey": "{}", "status": status, "receiver": "retrain", "alerts": [alert]}


class Lab:
    """A receiver with a clock that the test sets, and what it started."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.started: list[tuple[Reason, str]] = []
        self.error: Exception | None = None
        self.file = folder / "receiver.db"
        self.receiver = self.again()

    def again(self) -> Receiver:
        """The receiver after a restart."""
        return Receiver(Inbox(self.file), self._start, model="loans", cooldown_s=24 * HOUR, clock=lambda: self.now)

    def _start(self, reason: Reason, key: str) -> Started:
        if self.error is not None:
            raise self.error
        self.started.append((reason, key))
        return Started(outcome="done")

    def outcomes(self, *calls: dict[str, Any]) -> list[str]:
        """What becomes of the alert of each call."""
        return [next(iter(self.receiver.receive(json.dumps(each).encode()))) for each in calls]

    def counted(self, metric: str, outcome: str) -> float:
        return self.receiver.registry.get_sample_value(metric, {"outcome": outcome}) or 0.0

    @contextmanager
    def client(self) -> Iterator[TestClient]:
        with TestClient(receiver_app(self.receiver, TOKEN)) as client:
            yield client


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_a_firing_alert_starts_one_retraining_with_its_reason(lab: Lab) -> None:
    with lab.client() as client:
        answer = client.post("/alerts", json=call(), headers={"Authorization": f"Bearer {TOKEN}"})
        wait_until(lambda: lab.started, "the retraining")
        metrics = client.get("/metrics").text

    assert (answer.status_code, answer.json()) == (200, {"queued": 1})
    [(reason, _)] = lab.started
    assert reason == Reason(
        text="income of loans has drifted.", cause="drift", alert="ModelDrift since 2026-03-01T10:00:00+00:00"
    )
    assert 'mlp_retrain_alerts_total{outcome="queued"} 1.0' in metrics


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}])
def test_a_call_without_the_token_is_refused_and_counted(lab: Lab, headers: dict[str, str]) -> None:
    with lab.client() as client:
        answer = client.post("/alerts", json=call(), headers=headers)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert (Inbox(lab.file).waiting(), lab.started) == ([], [])
    assert lab.counted("mlp_retrain_alerts_total", "unauthorized") == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not json", 400),
        (b'{"version": "4", "alerts": [{"status": "firing"}]}', 400),
        (json.dumps(call() | {"version": "9"}).encode(), 400),
        (b" " * (LARGEST_BODY + 1), 413),
    ],
    ids=["no JSON", "no labels", "another version", "too large"],
)
def test_a_body_that_is_no_call_is_refused_and_counted(lab: Lab, body: bytes, status: int) -> None:
    with lab.client() as client:
        answer = client.post("/alerts", content=body, headers={"Authorization": f"Bearer {TOKEN}"})

    assert answer.status_code == status
    assert lab.counted("mlp_retrain_alerts_total", "invalid") == 1


def test_only_firing_alerts_on_the_own_model_that_are_a_reason_count(lab: Lab) -> None:
    found = lab.outcomes(call(status="resolved"), call(name="ModelSlow"), call(model="other"), call())
    assert found == ["resolved", "other", "other", "queued"]


def test_a_second_alert_within_the_cooldown_starts_none_and_one_after_it_does(lab: Lab) -> None:
    found = lab.outcomes(call(n=1), call(n=2))
    lab.now += 24 * HOUR
    found += lab.outcomes(call(n=3))

    assert found == ["queued", "cooldown", "queued"]


def test_a_repeated_or_replayed_call_starts_none_even_after_the_cooldown_and_a_restart(lab: Lab) -> None:
    lab.outcomes(call(n=1), call(n=2))
    lab.now += 48 * HOUR
    lab.receiver = lab.again()

    assert lab.outcomes(call(n=1), call(n=2)) == ["known", "known"]
    assert len(Inbox(lab.file).waiting()) == 1


@pytest.mark.parametrize(
    "error", [ServiceError("Prefect does not answer."), NotFound("no deployment."), RuntimeError("a bug")]
)
def test_what_cannot_start_now_is_tried_again_with_the_same_key_also_after_a_restart(
    lab: Lab, error: Exception
) -> None:
    lab.outcomes(call())
    lab.error = error
    waits = []
    for _ in range(3):
        [run] = Inbox(lab.file).waiting()
        lab.receiver.attempt(run)
        waits.append(Inbox(lab.file).waiting()[0].next_try - lab.now)
    assert waits == [2.0, 4.0, 8.0]
    assert lab.counted("mlp_retrain_runs_total", "put off") == 3

    lab.error = None
    lab.now += 10
    lab.receiver = lab.again()
    with lab.client():
        wait_until(lambda: lab.started, "the retraining")

    assert [key for _, key in lab.started] == [run.key]
    wait_until(lambda: not Inbox(lab.file).waiting(), "the end")


def test_what_can_never_start_is_given_up(lab: Lab) -> None:
    lab.outcomes(call())
    lab.error = CheckFailed("`mlp retrain` ended with exit code 2")
    lab.receiver.attempt(Inbox(lab.file).waiting()[0])

    assert Inbox(lab.file).waiting() == []
    assert lab.counted("mlp_retrain_runs_total", "given up") == 1


def test_the_token_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "state" / "token"

    token = ensure_token(file)

    assert ensure_token(file) == token
    assert len(token) > 40
    if os.name == "posix":
        assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.write_text("short"), "a token of 5 characters"),
        (lambda file: file.chmod(0o644), "can be read by other users"),
    ],
    ids=["short", "readable"],
)
def test_a_weak_token_is_refused(tmp_path: Path, change: Callable[[Path], object], message: str) -> None:
    ensure_token(tmp_path / "token")
    change(tmp_path / "token")
    with pytest.raises(UsageError, match=message):
        ensure_token(tmp_path / "token")
