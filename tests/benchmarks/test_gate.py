"""The default gate passes most routine retrainings of a small table, and few models that are worse."""

import msgspec
import numpy as np
import pytest

from benchmarks import gate

SEEDS = 30


def passed(standard_errors: float, monkeypatch: pytest.MonkeyPatch) -> dict[float, float]:
    """By loss, the share of candidates that pass at 1,000 rows."""
    settings = msgspec.structs.replace(
        gate.GATES["balanced_accuracy"], standard_errors=standard_errors, bootstrap_samples=300
    )
    monkeypatch.setitem(gate.GATES, "balanced_accuracy", settings)
    found = list(gate.verdicts("balanced_accuracy", "logistic", 1000, SEEDS))
    return {loss: float(np.mean([each[loss].passed for each in found])) for loss in found[0]}


def test_equals_pass_and_worse_models_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = passed(gate.GATES["balanced_accuracy"].standard_errors, monkeypatch)

    assert shares[0.0] >= 0.9
    assert shares[0.05] <= 0.1
    assert shares[0.1] == 0


def test_a_fixed_delta_would_refuse_most_retrainings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert passed(0.0, monkeypatch)[0.0] < 0.5
