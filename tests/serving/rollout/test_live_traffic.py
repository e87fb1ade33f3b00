"""Callers of a real server get correct predictions while a canary or shadow runs, even a failing one."""

from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from platform_lib.data.contract import Column
from platform_lib.serving.predictor import predict_rows
from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder
from platform_lib.serving.request_log.recorder import LogSettings, RequestLog
from platform_lib.serving.rollout.canary import CanaryRule
from tests.serving.rollout.rollouts import break_it, failing, fixed, following, http_server, with_canary
from tests.serving.sample_models import CLASSIFICATION, FixedSource, FolderRegistry, loaded, rows
from tests.waiting import wait_until


class TestPredictions:
    def test_each_response_and_each_logged_row_name_the_version_that_predicted(
        self, registry: FolderRegistry, tmp_path: Path
    ) -> None:
        registry.canary = "2"
        loader, rollout = following(registry)
        log = RequestLog(LogSettings(location=str(tmp_path)))
        some = rows(4, seed=9)
        assert loader.current is not None and rollout.canary is not None
        expected = {
            each.model.version: predict_rows(each.model, some) for each in (loader.current, rollout.canary.served)
        }
        named = []
        with http_server(loader, rollout, request_log=log) as ask:
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

    def test_the_champion_predicts_the_canarys_rows_for_the_comparison(self, registry: FolderRegistry) -> None:
        registry.canary, registry.percent = "2", "100"
        loader, rollout = following(registry)
        assert loader.current is not None and rollout.canary is not None
        some = rows(40, seed=9)
        ours, theirs = (predict_rows(each.model, some).values for each in (loader.current, rollout.canary.served))
        agreement = rollout.canary.agreement
        with http_server(loader, rollout) as ask:
            assert ask(some).status_code == 200
            wait_until(lambda: agreement.compared == 40)
        assert 0 < agreement.disagreements == int((ours != theirs).sum())
        assert agreement.mean_difference is None

    def test_a_shadow_is_compared_and_its_predictions_are_never_returned(self, registry: FolderRegistry) -> None:
        registry.shadow = "2"
        loader, rollout = following(registry)
        assert loader.current is not None and rollout.shadow is not None
        some = rows(20, seed=9)
        ours, theirs = (predict_rows(each.model, some).values for each in (loader.current, rollout.shadow.served))
        agreement = rollout.shadow.agreement
        with http_server(loader, rollout) as ask:
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

    def test_a_failing_shadow_affects_no_caller(self, registry: FolderRegistry) -> None:
        registry.shadow = "2"
        loader, rollout = following(registry)
        assert rollout.shadow is not None
        break_it(rollout.shadow.served)
        agreement = rollout.shadow.agreement
        with http_server(loader, rollout) as ask:
            assert ask(rows(3)).status_code == 200
            wait_until(lambda: agreement.failures == 3)


class TestFailures:
    def test_the_champion_serves_requests_on_which_a_canary_fails_until_it_is_disabled(
        self, registry: FolderRegistry, caplog: pytest.LogCaptureFixture
    ) -> None:
        loader, rollout = with_canary(
            registry, fixed("2", failing()), rule=CanaryRule(max_failures=0.05, min_requests=20)
        )
        canary = rollout.canary
        assert canary is not None
        with http_server(loader, rollout) as ask:
            for _ in range(30):
                answer = ask(rows(2))
                assert (answer.status_code, answer.json()["model"]["version"]) == (200, "1")
        assert (canary.requests, canary.failures) == (20, 20)
        assert canary.off_reason == (
            "it failed 20 of its last 20 requests, more than the 5 % allowed; the last one: "
            "people version 2 failed on these rows (RuntimeError)."
        )
        assert canary.describe()["state"] == "switched_off"
        assert [record.levelname for record in caplog.records if "is switched off" in record.message] == ["ERROR"]

    def test_only_a_body_that_the_champion_accepts_counts_as_the_canarys_failure(
        self, registry: FolderRegistry
    ) -> None:
        wider = CLASSIFICATION.__class__(
            **{**_fields(CLASSIFICATION), "columns": {"new": Column(type="number"), **CLASSIFICATION.columns}}
        )
        served = FixedSource(loaded(LogisticRegression(), wider, version="2")).current
        assert served is not None
        loader, rollout = with_canary(registry, served)
        assert rollout.canary is not None
        with http_server(loader, rollout) as ask:
            good = ask(rows(1))
            assert (good.status_code, good.json()["model"]["version"]) == (200, "1")
            assert rollout.canary.failures == 1
            bad = ask([{**rows(1)[0], "age": "old"}])
            assert bad.status_code == 422
            assert "age" in bad.json()["detail"]
        assert rollout.canary.failures == 1

    def test_rows_that_no_version_can_predict_do_not_count_against_the_canary(self, registry: FolderRegistry) -> None:
        loader, rollout = with_canary(registry, fixed("2", failing()))
        assert loader.current is not None and rollout.canary is not None
        break_it(loader.current)
        with http_server(loader, rollout) as ask:
            assert ask(rows(1)).status_code == 500
        assert rollout.canary.failures == 0


def _fields(contract: Any) -> dict[str, Any]:
    return {name: getattr(contract, name) for name in contract.__struct_fields__}
