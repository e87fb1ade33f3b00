"""Promotion and rollback: which version is the champion, and which may become it."""

from typing import Any

import pytest

from platform_lib.errors import CheckFailed, NotFound, UsageError
from platform_lib.registry import Registry
from tests.registry.conftest import TAGS, bare_version, gate


class TestPromote:
    def test_the_first_champion_has_no_previous_version(self, registry: Registry) -> None:
        moved = registry.promote(bare_version(registry, gate()))

        assert (moved.champion.version, moved.before) == ("1", None)
        assert registry.champion("tiny") is not None

    def test_the_replaced_champion_becomes_previous(self, registry: Registry) -> None:
        for _ in range(3):
            registry.promote(bare_version(registry, gate()))

        assert [registry.resolve(f"tiny@{alias}").version for alias in ("champion", "previous")] == ["3", "2"]

    def test_promoting_the_champion_changes_nothing(self, registry: Registry) -> None:
        for _ in range(2):
            registry.promote(bare_version(registry, gate()))

        assert not registry.promote(registry.resolve("tiny/2")).changed
        assert registry.resolve("tiny@previous").version == "1"

    def test_a_version_that_the_gate_refused_is_not_promoted(self, registry: Registry) -> None:
        with pytest.raises(
            CheckFailed, match=r"cannot be promoted: the gate refused it \(accuracy is 0\.1, below 0\.5\)"
        ):
            registry.promote(bare_version(registry, gate(passed=False)))

        assert registry.champion("tiny") is None

    def test_a_version_without_a_gate_verdict_is_not_promoted(self, registry: Registry) -> None:
        with pytest.raises(CheckFailed, match="the gate has not judged it"):
            registry.promote(bare_version(registry, TAGS))

    def test_overriding_the_gate_is_recorded_with_who_and_why(self, registry: Registry) -> None:
        moved = registry.promote(bare_version(registry, gate(passed=False)), override="agreed  with risk")

        assert moved.champion.override is not None
        assert (moved.champion.override.by, moved.champion.override.reason) == (
            "Tests <tests@example.invalid>",
            "agreed with risk",
        )
        assert moved.champion.override.role is None

    def test_an_override_without_a_reason_changes_nothing(self, registry: Registry) -> None:
        with pytest.raises(UsageError, match="the reason has 0 characters, expected 1 to 1000"):
            registry.promote(bare_version(registry, gate(passed=False)), override="  ")

        assert registry.champion("tiny") is None

    def test_a_champion_that_was_moved_by_hand_can_be_forced_afterwards(self, registry: Registry) -> None:
        record = bare_version(registry, gate(passed=False))
        registry.client.set_registered_model_alias("tiny", "champion", record.version)

        assert not registry.promote(record, override="agreed").changed

        assert registry.resolve("tiny@champion").override is not None

    def test_rollback_refuses_a_previous_version_that_never_passed(self, registry: Registry) -> None:
        refused = bare_version(registry, gate(passed=False))
        for _ in range(2):
            registry.promote(bare_version(registry, gate()))
        registry.client.set_registered_model_alias("tiny", "previous", refused.version)

        with pytest.raises(CheckFailed, match=r"tiny version 1 is not used: .*`mlp promote tiny/1 --force --reason"):
            registry.rollback("tiny")

        assert registry.resolve("tiny@champion").version == "3"

    def test_rollback_swaps_and_a_second_one_swaps_back(self, registry: Registry) -> None:
        for _ in range(2):
            registry.promote(bare_version(registry, gate()))

        states = []
        for _ in range(2):
            registry.rollback("tiny")
            states.append([registry.resolve(f"tiny@{alias}").version for alias in ("champion", "previous")])

        assert states == [["1", "2"], ["2", "1"]]

    def test_rollback_without_a_previous_version_is_refused_in_one_sentence(self, registry: Registry) -> None:
        registry.promote(bare_version(registry, gate()))

        with pytest.raises(
            NotFound, match=r"tiny has no version to roll back to: .* Versions: 1; aliases: champion → 1"
        ):
            registry.rollback("tiny")

    def test_the_best_promoted_score_is_of_the_same_metric_data_and_target(self, registry: Registry) -> None:
        cases: list[tuple[float, dict[str, Any]]] = [
            (0.8, {}),
            (0.95, {}),
            (0.9, {}),
            (0.99, {"data": "other"}),
            (0.99, {"metric": "f1_macro"}),
            (0.99, {"target": "sex"}),
        ]
        for score, more in cases:
            registry.promote(bare_version(registry, gate(score=score, **more)))
        bare_version(registry, gate(score=1.0))  # passed, but never promoted

        def best(*, greater: bool) -> float | None:
            return registry.best_promoted(
                "tiny", metric="accuracy", data="sample", target="species", greater_is_better=greater
            )

        assert (best(greater=True), best(greater=False)) == (0.95, 0.8)
