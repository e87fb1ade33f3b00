"""Try a model that was just deployed: does it live, is a version loaded, are strangers turned away, does a caller get an answer."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from platform_lib.errors import CheckFailed

_READY_WITHIN_S = 120.0


def smoke_test(
    url: str,
    *,
    key: str | None = None,
    authority: Path | None = None,
    ready_within_s: float = _READY_WITHIN_S,
    say: Callable[[str], None],
) -> None:
    """Ask a server.

    Args:
        url: Where its paths begin, such as https://models.example.com/models/churn-model.
        key: With the scope predict; None leaves the prediction out.
        authority: Certificates that signed the server's, besides the public ones.
    Raises:
        CheckFailed: It is not as it should be; says which request got which answer.
    """
    verify: Any = True
    if authority is not None:
        import ssl

        verify = ssl.create_default_context(cafile=str(authority))
    with httpx.Client(base_url=f"{url.rstrip('/')}/", verify=verify, timeout=30) as client:
        _wait_until_ready(client, url, ready_within_s)
        say("It is ready.")
        stranger = client.post("predict", json={"rows": []})
        if stranger.status_code != 401:
            raise CheckFailed(
                f"{url}/predict answered a caller without a key with {stranger.status_code}, expected 401: anybody could ask it."
            )
        say("Callers without a key are turned away.")
        if key is None:
            say("No prediction was tried: MLP_API_KEY holds no key.")
            return
        _predict(client, url, key)
        say("It answers its own example.")


def _wait_until_ready(client: httpx.Client, url: str, timeout_s: float) -> None:
    deadline, last = time.monotonic() + timeout_s, "no connection"
    while True:
        try:
            answer = client.get("readyz")
            if answer.status_code == 200:
                return
            last = f"{answer.status_code} {_detail(answer)}".strip()
        except httpx.HTTPError as err:
            last = f"{type(err).__name__}: {err}"
        if time.monotonic() > deadline:
            raise CheckFailed(f"{url}/readyz did not say 200 within {timeout_s:g} s; last: {last:.300}")
        time.sleep(0.5)


def _predict(client: httpx.Client, url: str, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    described = client.get("model", headers=headers)
    if described.status_code != 200:
        raise CheckFailed(
            f"{url}/model answered {described.status_code} {_detail(described):.300}: is MLP_API_KEY a key of deploy/keys.yaml?"
        )
    example = described.json()["example"]
    answer = client.post("predict", json={"rows": [example]}, headers=headers)
    if answer.status_code != 200:
        raise CheckFailed(f"{url}/predict answered its own example with {answer.status_code} {_detail(answer):.300}")


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return ""
