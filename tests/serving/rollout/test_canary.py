"""A canary gets its share and no more, costs nobody an answer, and is switched off when it fails; a shadow is compared and never heard."""

import gc
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from platform_lib.data.contract import Column
from platform_lib.data.rows import columns_of, rows_of
from platform_lib.serving.fastpath.selection import NOT_TRIED
from platform_lib.serving.http.app import create_app
from platform_lib.serving.limits import Limits
from platform_lib.serving.models.loader import ModelLoader
from platform_lib.serving.models.served_model import ServedModel
from platform_lib.serving.predictor import predict_rows
from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder
from platform_lib.serving.request_log.recorder import LogSettings, RequestLog
from platform_lib.serving.rollout.canary import Canary, CanaryRule
from platform_lib.serving.rollout.comparison import Agreement, ComparisonThread
from platform_lib.serving.rollout.controller import RolloutController
from tests.serving.http.test_app import Broken
from tests.serving.live import live
from tests.serving.models.test_loader import CHAMPION
from tests.serving.sample_models import (
    CLASSIFICATION,
    FixedSource,
    FolderRegistry,
    fitted,
    loaded,
    rows,
    write_artifact,
)
from tests.waiting import wait_until

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SHARES = st.floats(0, 100)
WHO = st.text(min_size=1, max_size=40)


def fixed(version: str = "2", model: Any = None) -> ServedModel:
    served = FixedSource(loaded(model or LogisticRegression(), version=version)).current
    assert served is not None
    return served


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("artifacts")
    return {
        version: (folder / version, write_artifact(folder / version, fitted(seed=int(version))))
        for version in ("1", "2", "3")
    }


@pytest.fixture
def registry(artifacts: dict[str, tuple[Path, str]]) -> FolderRegistry:
    made = FolderRegistry()
    for version, artifact in artifacts.items():
        made.add(version, *artifact, promote=version == "1")
    return made


def following(registry: FolderRegistry, rule: CanaryRule | None = None) -> tuple[ModelLoader, RolloutController]:
    """A loader and its roles, which look only when they are told to."""
    loader = ModelLoader(registry, CHAMPION, package=None)
    rollout = RolloutController(registry, "people", lambda: loader.current, package=None, rule=rule)
    poll(loader, rollout)
    return loader, rollout


def poll(loader: ModelLoader, rollout: RolloutController) -> None:
    if loader.poll():
        rollout.poll()


class TestWhoGetsIt:
    @given(percent=SHARES)
    def test_the_share_is_what_was_asked_for(self, percent: float) -> None:
        canary = Canary(fixed(), percent, NOW)
        taken = sum(canary.takes({}, f"request-{number}") for number in range(2_000))
        assert abs(taken / 2_000 - percent / 100) < 0.06  # five standard deviations of 2,000 draws

    @given(who=WHO, request_ids=st.lists(WHO, min_size=2, max_size=5), percent=SHARES)
    def test_equal_sticky_ids_are_answered_by_the_same_version_whatever_the_request(
        self, who: str, request_ids: list[str], percent: float
    ) -> None:
        here, in_another_process = Canary(fixed(), percent, NOW), Canary(fixed(), percent, NOW)
        taken = {
            canary.takes({"x-sticky-id": who}, each) for canary in (here, in_another_process) for each in request_ids
        }
        assert len(taken) == 1

    @given(who=WHO, percents=st.tuples(SHARES, SHARES).map(sorted))
    def test_a_larger_share_takes_nobody_away(self, who: str, percents: list[float]) -> None:
        canary = Canary(fixed(), percents[0], NOW)
        before = canary.takes({}, who)
        canary.set_percent(percents[1])
        assert canary.takes({}, who) >= before

    def test_nobody_at_0_and_everybody_at_100_percent(self) -> None:
        ids = [str(number) for number in range(1_000)]
        assert not any(Canary(fixed(), 0, NOW).takes({}, each) for each in ids)
        assert all(Canary(fixed(), 100, NOW).takes({}, each) for each in ids)

    def test_another_canary_meets_others_first(self) -> None:
        ids = [str(number) for number in range(1_000)]
        first, second = (Canary(fixed(version), 20, NOW) for version in ("2", "3"))
        assert 10 < sum(first.takes({}, each) and second.takes({}, each) for each in ids) < 80  # 40 by chance


class TestRoles:
    def test_a_version_is_the_canary_while_it_has_the_alias(self, registry: FolderRegistry) -> None:
        loader, rollout = following(registry)
        assert rollout.describe() == {"canary": None, "shadow": None}
        registry.canary, registry.percent = "2", "12.5"
        poll(loader, rollout)
        assert rollout.canary is not None
        assert (rollout.canary.served.model.version, rollout.canary.percent) == ("2", 12.5)
        gone = weakref.ref(rollout.canary.served.model.pipeline)
        registry.canary = None
        poll(loader, rollout)
        assert rollout.canary is None
        gc.collect()
        assert gone() is None  # its memory is free again

    def test_another_share_is_taken_up_without_loading_again_and_keeps_the_counts(
        self, registry: FolderRegistry
    ) -> None:
        registry.canary = "2"
        loader, rollout = following(registry)
        assert rollout.canary is not None
        canary = rollout.canary
        canary.answered()
        registry.percent = "80"
        poll(loader, rollout)
        assert rollout.canary is canary
        assert (canary.percent, canary.requests) == (80, 1)
        assert registry.fetched == ["1", "2"]

    def test_the_champion_itself_is_no_canary_and_a_promoted_canary_ends(self, registry: FolderRegistry) -> None:
        registry.canary = registry.shadow = "1"
        loader, rollout = following(registry)
        assert (rollout.canary, rollout.shadow) == (None, None)
        registry.canary = "2"
        poll(loader, rollout)
        assert rollout.canary is not None
        registry.champion = "2"
        poll(loader, rollout)
        assert loader.current is not None
        assert loader.current.model.version == "2"
        assert rollout.describe()["canary"] is None

    def test_a_registry_that_is_down_changes_nothing(self, registry: FolderRegistry) -> None:
        registry.canary, registry.shadow = "2", "3"
        loader, rollout = following(registry)
        before = rollout.canary, rollout.shadow
        assert None not in before
        registry.down = True
        rollout.poll()
        poll(loader, rollout)
        assert (rollout.canary, rollout.shadow) == before

    @pytest.mark.parametrize("percent", [None, "", "half", "101", "-1", "nan"])
    def test_a_share_that_is_none_is_said_and_sends_nobody_to_the_canary(
        self, percent: str | None, registry: FolderRegistry
    ) -> None:
        registry.canary, registry.percent = "2", percent
        loader, rollout = following(registry)
        assert rollout.canary is None
        said = rollout.describe()["canary"]
        assert (said["version"], said["state"]) == ("2", "refused")
        assert said["reason"] == f"its tag mlp.percent is {percent!r}, expected a number from 0 to 100."
        registry.percent = "10"
        poll(loader, rollout)
        assert rollout.canary is not None

    def test_a_version_that_must_not_serve_is_no_canary_either(
        self, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
    ) -> None:
        registry.add("2", artifacts["2"][0], "0" * 64, promote=False)
        registry.canary = registry.shadow = "2"
        _, rollout = following(registry)
        assert (rollout.canary, rollout.shadow) == (None, None)
        for said in rollout.describe().values():
            assert (said["version"], said["state"]) == ("2", "refused")
            assert "SHA-256" in said["reason"]


Ask = Callable[..., httpx.Response]


@contextmanager
def answering(
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
    """A model with a bug that no check of acceptance finds."""

    def fails(_frame: Any) -> Any:
        raise RuntimeError("secret-inside")

    return Broken(fails)


def break_it(served: ServedModel) -> None:
    """Put the bug into a version that was taken already."""
    object.__setattr__(served, "model", loaded(failing(), version=served.model.version))
    object.__setattr__(served, "selection", NOT_TRIED)
    served.__post_init__()


def with_canary(
    registry: FolderRegistry, served: ServedModel, percent: float = 100, rule: CanaryRule | None = None
) -> tuple[ModelLoader, RolloutController]:
    """RolloutController whose canary was put there by hand."""
    loader, rollout = following(registry)
    rollout.canary = Canary(served, percent, NOW, rule)
    return loader, rollout


class TestAnswers:
    def test_each_answer_is_that_of_the_version_it_names_and_the_log_knows_it_too(
        self, registry: FolderRegistry, tmp_path: Path
    ) -> None:
        registry.canary = "2"
        loader, rollout = following(registry)
        log = RequestLog(LogSettings(place=str(tmp_path)))
        some = rows(4, seed=9)
        assert loader.current is not None and rollout.canary is not None
        expected = {
            each.model.version: predict_rows(each.model, some) for each in (loader.current, rollout.canary.served)
        }
        named = []
        with answering(loader, rollout, request_log=log) as ask:
            for number in range(60):
                answer = ask(some, X_Request_ID=f"r{number}").json()
                version = answer["model"]["version"]
                named.append((f"r{number}", version))
                assert answer["predictions"] == expected[version].values.tolist()
                shares = [list(row.values()) for row in answer["probabilities"]]
                assert shares == [pytest.approx(row, rel=1e-9) for row in expected[version].probabilities.tolist()]  # type: ignore[union-attr]
            assert len({ask(some, X_Sticky_Id="ada").json()["model"]["version"] for _ in range(10)}) == 1
            log.close()
        answered = sum(version == "2" for _, version in named)
        assert 15 <= answered <= 45
        assert answered <= rollout.canary.requests <= answered + 10
        logged = LogFolder.at(str(tmp_path)).read(PREDICTIONS).to_pylist()
        ids = dict(named)
        assert {row["request_id"]: row["version"] for row in logged if row["request_id"] in ids} == ids

    def test_the_canarys_rows_are_put_to_the_champion_too(self, registry: FolderRegistry) -> None:
        registry.canary, registry.percent = "2", "100"
        loader, rollout = following(registry)
        assert loader.current is not None and rollout.canary is not None
        some = rows(40, seed=9)
        ours, theirs = (predict_rows(each.model, some).values for each in (loader.current, rollout.canary.served))
        agreement = rollout.canary.agreement
        with answering(loader, rollout) as ask:
            assert ask(some).status_code == 200
            wait_until(lambda: agreement.compared == 40)
        assert 0 < agreement.disagreements == int((ours != theirs).sum())
        assert agreement.mean_difference is None

    def test_a_shadow_is_compared_and_never_heard(self, registry: FolderRegistry) -> None:
        registry.shadow = "2"
        loader, rollout = following(registry)
        assert loader.current is not None and rollout.shadow is not None
        some = rows(20, seed=9)
        ours, theirs = (predict_rows(each.model, some).values for each in (loader.current, rollout.shadow.served))
        agreement = rollout.shadow.agreement
        with answering(loader, rollout) as ask:
            assert {ask(some).json()["model"]["version"] for _ in range(10)} == {"1"}
            wait_until(lambda: agreement.compared + agreement.skipped == 200)
        assert agreement.disagreements * 20 == int((ours != theirs).sum()) * agreement.compared
        assert rollout.describe()["shadow"] | {"compared": 0, "disagreements": 0, "skipped": 0, "since": ""} == {
            "version": "2",
            "state": "compares",
            "reason": None,
            "since": "",
            "compared": 0,
            "disagreements": 0,
            "failures": 0,
            "skipped": 0,
            "mean_difference": None,
        }

    def test_a_shadow_that_fails_fails_nobody(self, registry: FolderRegistry) -> None:
        registry.shadow = "2"
        loader, rollout = following(registry)
        assert rollout.shadow is not None
        break_it(rollout.shadow.served)
        agreement = rollout.shadow.agreement
        with answering(loader, rollout) as ask:
            assert ask(rows(3)).status_code == 200
            wait_until(lambda: agreement.failures == 3)


class TestFailures:
    def test_the_champion_answers_for_a_canary_that_fails_until_it_is_switched_off(
        self, registry: FolderRegistry, caplog: pytest.LogCaptureFixture
    ) -> None:
        loader, rollout = with_canary(registry, fixed("2", failing()), rule=CanaryRule(max_failures=0.05, fewest=20))
        canary = rollout.canary
        assert canary is not None
        with answering(loader, rollout) as ask:
            for _ in range(30):
                answer = ask(rows(2))
                assert (answer.status_code, answer.json()["model"]["version"]) == (200, "1")
        assert (canary.requests, canary.failures) == (20, 20)
        assert canary.off_reason == (
            "it failed 20 of its last 20 requests, more than the 5 % allowed; the last one: people version 2 failed on these rows (RuntimeError)."
        )
        assert canary.describe()["state"] == "switched_off"
        assert [record.levelname for record in caplog.records if "is switched off" in record.message] == ["ERROR"]

    def test_another_share_is_another_chance(self) -> None:
        canary = Canary(fixed(), 100, NOW, CanaryRule(fewest=2))
        canary.failed("why")
        assert canary.failed("why")
        assert not canary.takes({}, "r")
        canary.set_percent(100)
        assert not canary.takes({}, "r")
        canary.set_percent(99.999)
        assert canary.takes({}, "r")

    def test_a_few_failures_among_many_answers_are_borne(self) -> None:
        canary = Canary(fixed(), 100, NOW, CanaryRule(max_failures=0.05, window=100, fewest=20))
        for number in range(400):
            if number % 25 == 24:
                assert not canary.failed("why")
            else:
                canary.answered()
        assert (canary.failures, canary.off_reason) == (16, None)

    def test_a_body_that_only_the_canary_refuses_is_answered_by_the_champion_and_one_that_both_refuse_is_the_callers_fault(
        self, registry: FolderRegistry
    ) -> None:
        wider = CLASSIFICATION.__class__(
            **{**_fields(CLASSIFICATION), "columns": {"new": Column(type="number"), **CLASSIFICATION.columns}}
        )
        served = FixedSource(loaded(LogisticRegression(), wider, version="2")).current
        assert served is not None
        loader, rollout = with_canary(registry, served)
        assert rollout.canary is not None
        with answering(loader, rollout) as ask:
            good = ask(rows(1))
            assert (good.status_code, good.json()["model"]["version"]) == (200, "1")
            assert rollout.canary.failures == 1
            bad = ask([{**rows(1)[0], "age": "old"}])
            assert bad.status_code == 422
            assert "age" in bad.json()["detail"]
        assert rollout.canary.failures == 1

    def test_rows_that_no_version_can_answer_are_not_held_against_the_canary(self, registry: FolderRegistry) -> None:
        loader, rollout = with_canary(registry, fixed("2", failing()))
        assert loader.current is not None and rollout.canary is not None
        break_it(loader.current)
        with answering(loader, rollout) as ask:
            assert ask(rows(1)).status_code == 500
        assert rollout.canary.failures == 0


def _fields(contract: Any) -> dict[str, Any]:
    return {name: getattr(contract, name) for name in contract.__struct_fields__}


class TestAgreement:
    def test_numbers_agree_within_a_hundredth_and_their_mean_difference_is_kept(self) -> None:
        agreement = Agreement()
        assert agreement.add([100.0, 100.0, 0.0, -5.0], [100.9, 102.0, 0.0, 5.0]) == 2
        assert (agreement.compared, agreement.disagreements) == (4, 2)
        assert agreement.mean_difference == pytest.approx((0.9 + 2 + 0 + 10) / 4)

    def test_what_does_not_fit_is_skipped_and_counted_and_nobody_waits_for_it(self) -> None:
        gate, asked = threading.Event(), threading.Event()

        def slow(_frame: Any) -> Any:
            asked.set()
            gate.wait(60)
            raise RuntimeError("enough")

        served, agreement, counted = fixed("2", Broken(slow)), Agreement(), Counter[str]()
        comparison = ComparisonThread(lambda _role, result, rows: counted.update({result: rows}))
        columns = columns_of(rows_of(rows(100), CLASSIFICATION), CLASSIFICATION.features)
        try:
            comparison.compare(served, served, agreement, columns, ["no"] * 100)
            assert asked.wait(30)  # the thread is busy from now on
            assert agreement.skipped == 36  # 64 rows of a batch are enough
            for _ in range(16):
                comparison.compare(served, served, agreement, columns, ["no"] * 64)
            assert agreement.skipped == 36
            comparison.compare(served, served, agreement, columns, ["no"] * 64)
            assert agreement.skipped == counted["skipped"] == 100
        finally:
            comparison.close()
            gate.set()
