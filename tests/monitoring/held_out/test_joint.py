"""Joint drift: what all features together show."""

import numpy as np

from platform_lib.monitoring.held_out.joint import JointDrift, joint_drift

NAMES = ["a", "b", "c"]


def of(reference: np.ndarray, live: np.ndarray, *, seed: int = 0) -> JointDrift:
    found = joint_drift(NAMES, reference, live, limit=0.65, significance=0.01, seed=seed)
    assert found is not None
    return found


def test_rows_of_the_same_distribution_cannot_be_told_apart() -> None:
    dice = np.random.default_rng(0)
    found = [of(dice.normal(size=(300, 3)), dice.normal(size=(400, 3)), seed=seed) for seed in range(8)]
    assert not any(each.drifted for each in found)
    assert abs(np.mean([each.auc for each in found]) - 0.5) < 0.05
    assert all(abs(each.auc - 0.5) < 4 * each.error for each in found)


def test_features_that_no_longer_go_together_are_found_although_no_single_one_changed() -> None:
    dice = np.random.default_rng(1)
    reference = dice.multivariate_normal(np.zeros(3), np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]]), 1500)
    found = of(reference, dice.normal(size=(1500, 3)))
    assert found.drifted
    assert found.auc > 0.75
    assert sorted(found.strongest) == ["a", "b"]


def test_missing_values_are_seen() -> None:
    dice = np.random.default_rng(2)
    live = dice.normal(size=(600, 3))
    live[::2, 2] = np.nan
    found = of(dice.normal(size=(600, 3)), live)
    assert found.drifted
    assert found.strongest == ["c"]


def test_a_difference_below_the_limit_is_shown_and_no_drift() -> None:
    dice = np.random.default_rng(3)
    found = of(dice.normal(size=(4000, 3)), dice.normal(0.2, 1, size=(4000, 3)))
    assert found.p_value < 0.01
    assert not found.drifted
    assert (found.live_rows, found.reference_rows) == (2000, 2000)


def test_few_rows_or_no_features_are_not_tested() -> None:
    rows = np.zeros((200, 3))
    assert joint_drift(NAMES, rows[:49], rows, limit=0.65, significance=0.01) is None
    assert joint_drift([], rows[:, :0], rows[:, :0], limit=0.65, significance=0.01) is None
