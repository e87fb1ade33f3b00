"""Doubles for rollouts: fixed versions, failing models, and a server with a canary or shadow."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from sklearn.linear_model import LogisticRegression

from platform_lib.registry.reference import Reference
from platform_lib.serving.fastpath.selection import NOT_TRIED
from platform_lib.serving.http.app import create_app
from platform_lib.serving.limits import Limits
from platform_lib.serving.models.loader import ModelLoader
from platform_lib.serving.models.served_model import ServedModel
from platform_lib.serving.request_log.recorder import RequestLog
from platform_lib.serving.rollout.canary import Canary, CanaryRule
from platform_lib.serving.rollout.controller import RolloutController
from tests.serving.live import live
from tests.serving.sample_models import FixedSource, FolderRegistry, StubPipeline, loaded

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CHAMPION = Reference("people", alias="champion")


def fixed(version: str = "2", model: Any = None) -> ServedModel:
    served = FixedSource(loaded(model or LogisticRegression(), version=version)).current
    assert served is not None
    return served


def following(registry: FolderRegistry, rule: CanaryRule | None = None) -> tuple[ModelLoader, RolloutController]:
    """A loader and its rollout controller, without a polling thread."""
    loader = ModelLoader(registry, CHAMPION, package=None)
    rollout = RolloutController(registry, "people", lambda: loader.current, package=None, rule=rule)
    poll(loader, rollout)
    return loader, rollout


def poll(loader: ModelLoader, rollout: RolloutController) -> None:
    if loader.poll():
        rollout.poll()


Ask = Callable[..., httpx.Response]


@contextmanager
def http_server(
    loader: ModelLoader, rollout: RolloutController, limits: Limits | None = None, request_log: RequestLog | None = None
) -> Iterator[Ask]:
    app = create_app(loader, limits, rollout=rollout, request_log=request_log)
    with live(app) as url, httpx.Client(base_url=url) as http:
        try:
            yield lambda some, **headers: http.post(
                "/predict", json={"rows": some}, headers={k.replace("_", "-"): v for k, v in headers.items()}
            )
        finally:
            rollout.close()


def failing() -> Any:
    """A model with a bug that validation does not find."""

    def fails(_frame: Any) -> Any:
        raise RuntimeError("secret-inside")

    return StubPipeline(fails)


def break_it(served: ServedModel) -> None:
    """Inject the bug into a loaded version."""
    object.__setattr__(served, "model", loaded(failing(), version=served.model.version))
    object.__setattr__(served, "selection", NOT_TRIED)
    served.__post_init__()


def with_canary(
    registry: FolderRegistry, served: ServedModel, percent: float = 100, rule: CanaryRule | None = None
) -> tuple[ModelLoader, RolloutController]:
    """A rollout controller with a given canary."""
    loader, rollout = following(registry)
    rollout.canary = Canary(served, percent, NOW, rule)
    return loader, rollout
