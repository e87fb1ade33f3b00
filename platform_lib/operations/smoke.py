"""Smoke test of a deployed model: it is ready, requires a key, and predicts its example if it has a version."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from platform_lib.errors import CheckFailed
from platform_lib.names import NOTHING_TO_SERVE, POD_READY_PATH, Env

_READY_WITHIN_S = 120.0


def smoke_test(
    url: str,
    *,
    key: str | None = None,
    authority: Path | None = None,
    ready_within_s: float = _READY_WITHIN_S,
    say: Callable[[str], None],
) -> None:
    """Test a model server.

    Args:
        url: Base address, such as https://models.example.com/models/churn-model.
        key: Key with the scope predict; None skips the prediction.
        authority: File with the CA certificate, if it is not a public one.
        ready_within_s: Seconds until the server must be ready.
        say: Called with each line of progress.
    Raises:
        CheckFailed: A response is not the expected one; the message names request and response.
    """
    verify: Any = True
    if authority is not None:
        import ssl

        verify = ssl.create_default_context(cafile=str(authority))
    with httpx.Client(base_url=f"{url.rstrip('/')}/", verify=verify, timeout=30) as client:
        empty = _wait_until_ready(client, url, ready_within_s)
        say("The server is ready." if not empty else f"The server runs. Nothing is served yet: {empty}")
        stranger = client.post("predict", json={"rows": []})
        if stranger.status_code != 401:
            raise CheckFailed(
                f"{url}/predict returned {stranger.status_code} without a key, expected 401: anyone could call it."
            )
        say("Requests without a key are refused.")
        if empty:
            say("The first version that is promoted is served within a minute: `mlp promote`.")
            return
        if key is None:
            say(f"Skipped the prediction: {Env.API_KEY} is not set.")
            return
        _predict(client, url, key)
        say("The server predicts its example.")


def _wait_until_ready(client: httpx.Client, url: str, timeout_s: float) -> str:
    """Wait; returns why nothing is to be served yet, empty once a version is served."""
    deadline, last = time.monotonic() + timeout_s, "no connection"
    while True:
        try:
            answer = client.get("readyz")
            if answer.status_code == 200:
                return ""
            pod = client.get(POD_READY_PATH.lstrip("/"))
            if pod.status_code == 200 and pod.json().get("status") == NOTHING_TO_SERVE:
                return str(pod.json()["detail"])
            last = f"{answer.status_code} {_detail(answer)}".strip()
        except httpx.HTTPError as err:
            last = f"{type(err).__name__}: {err}"
        if time.monotonic() > deadline:
            raise CheckFailed(f"{url}/readyz did not return 200 within {timeout_s:g} s; last response: {last:.300}")
        time.sleep(0.5)


def _predict(client: httpx.Client, url: str, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    described = client.get("model", headers=headers)
    if described.status_code != 200:
        raise CheckFailed(
            f"{url}/model returned {described.status_code} {_detail(described):.300}: set {Env.API_KEY} to a key from "
            "deploy/keys.yaml."
        )
    example = described.json()["example"]
    answer = client.post("predict", json={"rows": [example]}, headers=headers)
    if answer.status_code != 200:
        raise CheckFailed(f"{url}/predict returned {answer.status_code} {_detail(answer):.300} for its example.")


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return ""
