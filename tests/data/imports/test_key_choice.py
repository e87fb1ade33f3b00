"""The key of the hold-out: chosen from the features, and held-out scores that agree with those of random rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from platform_lib.data.contract import DataContract, dump_contract, read_contract
from platform_lib.data.imports.plan import ImportPlan, ImportRequest, plan_import
from platform_lib.data.splits import holdout_mask
from tests.data.conftest import bare_project

Table = tuple[pd.DataFrame, NDArray[np.int64]]
"""Features and `y`, and for each row the number of the observation that it is (or is a copy of)."""


def _own(frame: pd.DataFrame) -> Table:
    return frame, np.arange(len(frame))


def _noisy(draw: np.random.Generator, share: Any) -> NDArray[np.object_]:
    return np.where(draw.random(len(share)) < np.asarray(share), "yes", "no").astype(object)


def coarse(draw: np.random.Generator) -> Table:
    """As a passenger list: three columns, 24 distinct rows in 600, and an outcome that varies among equal rows."""
    frame = pd.DataFrame(
        {
            "berth": draw.choice(["1st", "2nd", "3rd", "staff"], 600, p=[0.15, 0.13, 0.32, 0.4]),
            "years": draw.choice(["child", "adult", "old"], 600, p=[0.1, 0.8, 0.1]),
            "woman": draw.random(600) < 0.25,
        }
    )
    return _own(frame.assign(y=_noisy(draw, 0.2 + 0.5 * frame["woman"] + 0.1 * (frame["berth"] == "1st"))))


def noise(draw: np.random.Generator) -> Table:
    """Four columns of true and false, and an outcome that has nothing to do with them."""
    frame = pd.DataFrame({name: draw.random(500) < 0.5 for name in "abcd"})
    return _own(frame.assign(y=_noisy(draw, np.full(500, 0.5))))


def lookup(draw: np.random.Generator) -> Table:
    """Few distinct rows that determine the outcome."""
    frame = pd.DataFrame({name: draw.integers(0, 4, 500) for name in "abc"})
    return _own(frame.assign(y=np.where((frame["a"] + frame["b"]) % 4 > 1, "yes", "no")))


def partly(draw: np.random.Generator) -> Table:
    """Some rows are equal by chance."""
    frame = pd.DataFrame({"age": draw.integers(18, 80, 600), "plan": draw.choice(list("abc"), 600)})
    return _own(frame.assign(y=_noisy(draw, 0.2 + 0.6 * (frame["age"] > 50))))


def rare(draw: np.random.Generator) -> Table:
    """Coarse, and one outcome in ten."""
    frame = pd.DataFrame({"a": draw.integers(0, 5, 800), "b": draw.integers(0, 4, 800)})
    return _own(frame.assign(y=_noisy(draw, 0.02 + 0.3 * (frame["a"] == 0))))


def coarse_numbers(draw: np.random.Generator) -> Table:
    """A number that varies among equal rows."""
    frame = pd.DataFrame({"a": draw.integers(0, 4, 500), "b": draw.choice(list("xyz"), 500)})
    return _own(frame.assign(y=frame["a"] + draw.normal(size=500)))


def continuous(draw: np.random.Generator) -> Table:
    """No row repeats."""
    frame = pd.DataFrame(draw.normal(size=(500, 3)), columns=list("abc"))
    return _own(frame.assign(y=_noisy(draw, 1 / (1 + np.exp(-2 * frame["a"].to_numpy())))))


def copied(draw: np.random.Generator) -> Table:
    """Each row lies in the file three times, in any order, as a join that went wrong leaves it."""
    frame, _ = continuous(draw)
    order = draw.permutation(np.repeat(np.arange(300), 3))
    return frame.iloc[order].reset_index(drop=True), order


def copied_but_for_the_number(draw: np.random.Generator) -> Table:
    """The same with the number of the row, as R writes it."""
    frame, order = copied(draw)
    return frame.assign(rownames=range(1, len(frame) + 1)), order


def some_copies(draw: np.random.Generator) -> Table:
    """One row in five lies in the file twice."""
    frame, _ = continuous(draw)
    order = np.concatenate([np.arange(500), draw.integers(0, 500, 100)])
    return frame.iloc[order].reset_index(drop=True), order


TABLES: dict[str, tuple[Callable[[np.random.Generator], Table], str, list[str]]] = {
    "coarse": (coarse, "separate", ["berth", "years", "woman"]),
    "noise": (noise, "separate", ["a", "b", "c", "d"]),
    "lookup": (lookup, "separate", ["a", "b", "c"]),
    "partly": (partly, "separate", ["age", "plan"]),
    "rare": (rare, "separate", ["a", "b"]),
    "coarse-numbers": (coarse_numbers, "separate", ["a", "b"]),
    "continuous": (continuous, "together", ["a", "b", "c"]),
    "copied": (copied, "together", ["a", "b", "c"]),
    "copied-but-for-the-number": (copied_but_for_the_number, "together", ["a", "b", "c"]),
    "some-copies": (some_copies, "together", ["a", "b", "c"]),
}


@pytest.fixture(scope="module", params=TABLES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Table, ImportPlan]:
    """A table as it is made, and the plan of its import."""
    frame, origin = TABLES[request.param][0](np.random.default_rng(20_261_129))
    folder = tmp_path_factory.mktemp("table")
    frame.to_csv(folder / "t.csv", index=False)
    task = "regression" if frame["y"].dtype == float else "classification"
    done = plan_import(bare_project(folder / "p", task), ImportRequest(file=folder / "t.csv", target="y"))
    return request.param, (frame, origin), done


def test_the_key_is_the_features_and_repeats_are_copies_or_observations(made: tuple[str, Table, ImportPlan]) -> None:
    name, _, done = made

    assert (done.contract.repeats, done.contract.key) == TABLES[name][1:]
    said = [note for note in done.report.notes if "separate observations" in note or "Exact copies" in note]
    assert len(said) == (name != "continuous")


def test_the_target_never_decides_on_a_side(made: tuple[str, Table, ImportPlan]) -> None:
    _, (frame, _), done = made
    other = frame.assign(y=np.random.default_rng(1).permutation(frame["y"]))

    assert holdout_mask(frame, done.contract).tolist() == holdout_mask(other, done.contract).tolist()


def test_rows_stay_on_their_side_when_others_are_appended(made: tuple[str, Table, ImportPlan]) -> None:
    _, (frame, _), done = made
    whole = holdout_mask(frame, done.contract)

    for rows in (50, 300):
        assert holdout_mask(frame[:rows], done.contract).tolist() == whole[:rows].tolist()


def test_the_held_out_score_agrees_with_that_of_random_rows(made: tuple[str, Table, ImportPlan]) -> None:
    """Copies of one observation count as one, since copies on both sides would give the answer away."""
    name, (frame, origin), done = made
    draw = np.random.default_rng(2)
    ours = [_score(frame, holdout_mask(frame, done.contract, salt=str(salt))) for salt in range(25)]
    random = [_score(frame, (draw.random(origin.max() + 1) < 0.2)[origin]) for _ in range(25)]

    gap, spread = abs(np.mean(ours) - np.mean(random)), np.std(random)
    assert gap < 3 * spread / 5 * np.sqrt(2), f"{name}: {np.mean(ours):.3f}, and {np.mean(random):.3f} for random rows"
    assert np.std(ours) < 2 * spread + 0.01


def _score(frame: pd.DataFrame, held: NDArray[np.bool_]) -> float:
    """Of a small tree, which learns single rows by heart where it can: accuracy, or R² of a number."""
    features = frame.drop(columns=["y", "rownames"], errors="ignore")
    values = features.apply(lambda column: column if is_numeric_dtype(column) else pd.factorize(column)[0]).to_numpy()
    kind = DecisionTreeRegressor if frame["y"].dtype == float else DecisionTreeClassifier
    tree = kind(max_depth=9, random_state=0).fit(values[~held], frame["y"][~held])
    return float(tree.score(values[held], frame["y"][held]))


def test_repeats_are_kept_in_the_contract_and_missing_means_together(tmp_path: Path) -> None:
    contract = DataContract(name="t", path="t", task="regression", target="y", columns={}, repeats="separate")
    (tmp_path / "c.yaml").write_text("name: t\npath: t\ntask: regression\ntarget: y\ncolumns: {y: {type: number}}\n")

    assert "repeats: separate\n" in dump_contract(contract)
    assert read_contract(tmp_path / "c.yaml").repeats == "together"
