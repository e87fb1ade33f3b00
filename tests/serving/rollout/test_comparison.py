"""Predictions of two versions are compared without delaying callers."""

import threading
from collections import Counter
from typing import Any

import pytest

from platform_lib.data.rows import columns_of, rows_of
from platform_lib.serving.rollout.comparison import Agreement, ComparisonThread
from tests.serving.rollout.rollouts import fixed
from tests.serving.sample_models import CLASSIFICATION, StubPipeline, rows


class TestComparison:
    def test_numbers_agree_within_one_percent_and_their_mean_difference_is_kept(self) -> None:
        agreement = Agreement()
        assert agreement.add([100.0, 100.0, 0.0, -5.0], [100.9, 102.0, 0.0, 5.0]) == 2
        assert (agreement.compared, agreement.disagreements) == (4, 2)
        assert agreement.mean_difference == pytest.approx((0.9 + 2 + 0 + 10) / 4)

    def test_rows_beyond_the_queue_are_skipped_and_counted_without_waiting(self) -> None:
        gate, asked = threading.Event(), threading.Event()

        def slow(_frame: Any) -> Any:
            asked.set()
            gate.wait(60)
            raise RuntimeError("enough")

        served, agreement, counted = fixed("2", StubPipeline(slow)), Agreement(), Counter[str]()
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
