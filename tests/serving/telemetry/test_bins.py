"""Counts of live rows in the reference profile's bins, across several processes."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from platform_lib.serving.telemetry.bins import BinCounter, read_counts
from tests.serving.telemetry.profiles import make_profile


def totals(folder: Path, version: str = "1") -> dict[tuple[str, str], int]:
    return {
        (series.feature, series.bin): series.count
        for series in read_counts(folder)
        if series.version == version and series.count
    }


def test_all_bins_start_at_zero_with_their_reference_shares(tmp_path: Path) -> None:
    BinCounter(tmp_path, "1", make_profile())
    series = list(read_counts(tmp_path))
    assert {one.count for one in series} == {0}
    shares = {
        feature: sum(one.reference_share for one in series if one.feature == feature)
        for feature in ("x", "c", "prediction")
    }
    assert shares == pytest.approx({"x": 1, "c": 1, "prediction": 1})


def test_rows_are_counted_in_the_right_bins(tmp_path: Path) -> None:
    counter = BinCounter(tmp_path, "1", make_profile())
    counter.count({"x": [-5, None, 1e9, 1e9], "c": ["a", "new", " ", " a\t"]}, ["p", "p", "n", "n"])
    assert totals(tmp_path) == {
        ("x", "< 0"): 1,
        ("x", "missing"): 1,
        ("x", ">= 99"): 2,
        ("c", "a"): 2,
        ("c", "other"): 1,
        ("c", "missing"): 1,
        ("prediction", "p"): 2,
        ("prediction", "n"): 2,
    }


def test_counts_of_all_processes_add_up_including_dead_ones(tmp_path: Path) -> None:
    code = textwrap.dedent(f"""
        import os
        from pathlib import Path
        from platform_lib.serving.telemetry.bins import BinCounter
        from tests.serving.telemetry.profiles import make_profile
        BinCounter(Path({str(tmp_path)!r}), "1", make_profile()).count({{"x": [1.0], "c": ["a"]}}, ["p"])
        os._exit(9)
    """)
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3])
    BinCounter(tmp_path, "1", make_profile()).count({"x": [1.0], "c": ["a"]}, ["p"])
    assert totals(tmp_path)["c", "a"] == 3


def test_a_reloaded_version_continues_counting(tmp_path: Path) -> None:
    for _ in range(2):
        BinCounter(tmp_path, "1", make_profile()).count({"x": [1.0], "c": ["a"]}, ["p"])
    assert totals(tmp_path)["c", "a"] == 2


def test_at_most_three_versions_are_shown(tmp_path: Path) -> None:
    for version in range(1, 7):
        BinCounter(tmp_path, str(version), make_profile())
    assert {series.version for series in read_counts(tmp_path)} == {"4", "5", "6"}


def test_bulk_observation_equals_one_by_one() -> None:
    from prometheus_client import CollectorRegistry, Histogram

    from platform_lib.serving.telemetry.metrics import observe_many

    bounds = (0.1, 1.0, 2.0)
    one, many = (CollectorRegistry(), CollectorRegistry())
    values = [0.1, 0.05, 1.0, 1.5, 2.0, 7.0, 0.100001]
    single, together = (
        Histogram("s", "-", buckets=bounds, registry=one),
        Histogram("s", "-", buckets=bounds, registry=many),
    )
    for value in values:
        single.observe(value)
    observe_many(together, bounds, values)
    for name in ("s_count", "s_sum"):
        assert one.get_sample_value(name) == many.get_sample_value(name)
    for bound in ("0.1", "1.0", "2.0", "+Inf"):
        assert one.get_sample_value("s_bucket", {"le": bound}) == many.get_sample_value("s_bucket", {"le": bound})
