"""A canary gets its percentage of callers and is disabled if it fails too often."""

from hypothesis import given
from hypothesis import strategies as st

from platform_lib.serving.rollout.canary import Canary, CanaryRule
from tests.serving.rollout.rollouts import NOW, fixed

SHARES = st.floats(0, 100)
WHO = st.text(min_size=1, max_size=40)


class TestSelection:
    @given(percent=SHARES)
    def test_the_share_of_requests_is_the_percentage(self, percent: float) -> None:
        canary = Canary(fixed(), percent, NOW)
        taken = sum(canary.takes({}, f"request-{number}") for number in range(2_000))
        assert abs(taken / 2_000 - percent / 100) < 0.06  # five standard deviations of 2,000 draws

    @given(who=WHO, request_ids=st.lists(WHO, min_size=2, max_size=5), percent=SHARES)
    def test_equal_sticky_ids_get_the_same_version_for_every_request(
        self, who: str, request_ids: list[str], percent: float
    ) -> None:
        here, in_another_process = Canary(fixed(), percent, NOW), Canary(fixed(), percent, NOW)
        taken = {
            canary.takes({"x-sticky-id": who}, each) for canary in (here, in_another_process) for each in request_ids
        }
        assert len(taken) == 1

    @given(who=WHO, percents=st.tuples(SHARES, SHARES).map(sorted))
    def test_a_larger_percentage_removes_no_caller(self, who: str, percents: list[float]) -> None:
        canary = Canary(fixed(), percents[0], NOW)
        before = canary.takes({}, who)
        canary.set_percent(percents[1])
        assert canary.takes({}, who) >= before

    def test_no_caller_gets_the_canary_at_0_percent_and_every_caller_at_100(self) -> None:
        ids = [str(number) for number in range(1_000)]
        assert not any(Canary(fixed(), 0, NOW).takes({}, each) for each in ids)
        assert all(Canary(fixed(), 100, NOW).takes({}, each) for each in ids)

    def test_another_canary_starts_with_other_callers(self) -> None:
        ids = [str(number) for number in range(1_000)]
        first, second = (Canary(fixed(version), 20, NOW) for version in ("2", "3"))
        assert 10 < sum(first.takes({}, each) and second.takes({}, each) for each in ids) < 80  # 40 by chance


class TestSwitchingOff:
    def test_a_new_percentage_enables_the_canary_again(self) -> None:
        canary = Canary(fixed(), 100, NOW, CanaryRule(min_requests=2))
        canary.failed("why")
        assert canary.failed("why")
        assert not canary.takes({}, "r")
        canary.set_percent(100)
        assert not canary.takes({}, "r")
        canary.set_percent(99.999)
        assert canary.takes({}, "r")

    def test_a_few_failures_among_many_requests_are_tolerated(self) -> None:
        canary = Canary(fixed(), 100, NOW, CanaryRule(max_failures=0.05, window=100, min_requests=20))
        for number in range(400):
            if number % 25 == 24:
                assert not canary.failed("why")
            else:
                canary.succeeded()
        assert (canary.failures, canary.off_reason) == (16, None)
