"""The search sees training rows only and is deterministic for any number of workers.

Its folds keep together what the split keeps together.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.dataset import load_dataset
from platform_lib.errors import CheckFailed, NotFound, UsageError
from platform_lib.settings import Project, find_project
from platform_lib.training.config.compose import compose
from platform_lib.training.config.schema import (
    GateConfig,
    ModelConfig,
    SearchConfig,
    SearchDimension,
    SplitConfig,
    TrainConfig,
)
from platform_lib.training.search import cross_validation
from platform_lib.training.search.folds import inner_folds
from platform_lib.training.search.sampler import Candidate, Sampler
from platform_lib.training.search.search import Trial, as_override, candidates, search
from platform_lib.training.steps import split_rows


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, generate: Callable[..., Project]) -> Project:
    """One project for all tests that only read it."""
    return generate(tmp_path_factory.mktemp("tuning") / "project", project_name="tuning-model")


@pytest.fixture
def own(project: Project, tmp_path: Path) -> Project:
    """A copy to write into."""
    shutil.copytree(project.root, tmp_path / "own", ignore=shutil.ignore_patterns(".git"))
    return find_project(tmp_path / "own")


class TestCandidates:
    def test_a_comma_separated_list_of_choices_makes_one_candidate_per_choice(self, project: Project) -> None:
        found = candidates(project, ["model=logistic,forest", "seed=2"])
        assert [(c.choices, c.overrides, list(c.space)) for c in found] == [
            ({"model": "logistic"}, ("model=logistic", "seed=2"), ["C"]),
            ({"model": "forest"}, ("model=forest", "seed=2"), ["n_estimators", "min_samples_leaf"]),
        ]

    def test_any_group_can_be_listed_and_lists_are_combined(self, own: Project) -> None:
        (own.conf_dir / "features" / "plain.yaml").write_text("scale: false\n", encoding="utf-8")
        found = candidates(own, ["features=standard,plain", "model=logistic,forest"])
        assert [c.choices for c in found] == [
            {"features": features, "model": model}
            for features in ("standard", "plain")
            for model in ("logistic", "forest")
        ]
        assert found[2].config.features == {"scale": False}

    @pytest.mark.parametrize(
        ("overrides", "says"),
        [
            (
                ["model=logistic,forrest"],
                "there is no model 'forrest': conf/model has boosting, catboost, forest, lightgbm, logistic, xgboost. Did you mean 'forest'?",
            ),
            (["seed=1,2"], "'seed=1,2' gives several values, expected one"),
            (["split=hash,group"], "scores on different rows or by different rules cannot be compared: choose one."),
            (
                ["~search.space.logistic"],
                "there is nothing to search: conf/search has no space for the model 'logistic', it has one for forest, boosting, lightgbm, xgboost, catboost.",
            ),
            (["model.params.C=x"], "model.params.C is 'x', expected a number"),
        ],
        ids=["choice", "no-group", "split", "no-space", "value"],
    )
    def test_an_invalid_search_is_refused_in_one_sentence(
        self, project: Project, overrides: list[str], says: str
    ) -> None:
        with pytest.raises(UsageError) as caught:
            candidates(project, overrides)
        assert says in str(caught.value)


# Folds

CONTRACT = DataContract(
    name="t",
    path="t.csv",
    task="classification",
    target="y",
    time="at",
    columns={
        "x": Column(type="number"),
        "person": Column(type="string"),
        "at": Column(type="datetime"),
        "y": Column(type="string"),
    },
)


def _config(**split: Any) -> TrainConfig:
    return TrainConfig(
        data=CONTRACT,
        model=ModelConfig(name="m"),
        gate=GateConfig(metric="accuracy"),
        split=SplitConfig(**split),
        search=SearchConfig(folds=4),
    )


def _table(rows: int = 120) -> pd.DataFrame:
    places = np.arange(rows)
    return pd.DataFrame(
        {
            "x": (places % 60).astype(float),
            "person": [f"p{place % 60 % 15}" for place in places],
            "at": pd.Timestamp("2026-01-01") + pd.to_timedelta((places * 7) % 60, unit="D"),
            "y": ["yes" if place % 3 == 0 else "no" for place in places % 60],
        }
    ).astype({"person": object, "y": object})


def _folds(table: pd.DataFrame, config: TrainConfig) -> list[tuple[Any, Any]]:
    return inner_folds(table, table["y"].to_numpy(), config)


@pytest.mark.parametrize("split", [{}, {"method": "group", "column": "person"}], ids=["hash", "group"])
def test_every_row_is_scored_once_by_a_model_that_was_not_fitted_on_it(split: dict[str, Any]) -> None:
    folds = _folds(_table(), _config(**split))
    assert len(folds) == 4
    assert sorted(np.concatenate([held for _, held in folds]).tolist()) == list(range(120))
    assert all(not set(fit) & set(held) for fit, held in folds)


def test_equal_rows_are_in_the_same_fold() -> None:
    table = _table()
    table["at"] = table["at"].iloc[:60].tolist() * 2
    assert table.duplicated().sum() == 60
    for fit, held in _folds(table, _config()):
        assert not set(fit % 60) & set(held % 60)


@pytest.mark.parametrize("repeats", ["together", "separate"])
def test_the_target_separates_no_equal_rows_even_if_an_old_key_holds_it(repeats: Any) -> None:
    """Ten rows each have equal features and different targets."""
    table = _table()
    table["x"] = table.index % 12.0
    table["y"] = np.where(table.index % 5 < 2, "yes", "no").astype(object)
    data = msgspec.structs.replace(CONTRACT, id=None, key=["x", "y"], repeats=repeats)
    folds = _folds(table, msgspec.structs.replace(_config(), data=data))

    shared = [set(table["x"].iloc[fit]) & set(table["x"].iloc[held]) for fit, held in folds]
    assert [bool(values) for values in shared] == [repeats == "separate"] * 4


def test_groups_are_not_split_across_folds() -> None:
    table = _table()
    for fit, held in _folds(table, _config(method="group", column="person")):
        assert not set(table["person"].iloc[fit]) & set(table["person"].iloc[held])


def test_folds_of_a_time_split_train_on_the_past_only() -> None:
    table = _table(60)
    for fit, held in _folds(table, _config(method="time", cutoff="2027-01-01")):
        assert table["at"].iloc[fit].max() < table["at"].iloc[held].min()


def test_each_fold_has_every_class_and_a_rare_class_makes_fewer_folds() -> None:
    table = _table(60)
    table["y"] = ["yes" if place < 3 else "no" for place in range(60)]
    folds = _folds(table, _config())
    assert [int((table["y"].iloc[held] == "yes").sum()) for _, held in folds] == [1, 1, 1]


def test_one_group_cannot_be_folded() -> None:
    table = _table(20).assign(person="p")
    with pytest.raises(CheckFailed, match="the 20 training rows are 1 group, and folds need two or more"):
        _folds(table, _config(method="group", column="person"))


# Sampler


def _candidate(space: dict[str, SearchDimension], **params: Any) -> Candidate:
    config = TrainConfig(data=CONTRACT, model=ModelConfig(name="m", params=params), gate=GateConfig(metric="accuracy"))
    return Candidate(choices={}, overrides=(), config=config, space=space)


DEPTH = SearchDimension(type="choice", choices=[1, None, [2, 3]])
SHARE = SearchDimension(type="float", low=0.0, high=1.0)
COUNT = SearchDimension(type="int", low=1, high=9, log=True)


def test_the_first_trial_is_the_configuration_on_disk() -> None:
    sampler = Sampler(
        [_candidate({"depth": DEPTH, "share": SHARE, "count": COUNT}, depth=[2, 3], share=0.25, count=4)],
        greater_is_better=True,
        seed=0,
    )
    (first,) = sampler.next(1)
    assert first.params == {"depth": [2, 3], "share": 0.25, "count": 4}
    assert first.config.model.params == first.params


def test_values_stay_within_their_ranges_and_types() -> None:
    sampler = Sampler([_candidate({"depth": DEPTH, "share": SHARE, "count": COUNT})], greater_is_better=True, seed=0)
    for suggestion in sampler.next(30):
        assert suggestion.params["depth"] in [1, None, [2, 3]]
        assert 0 <= suggestion.params["share"] <= 1
        assert isinstance(suggestion.params["count"], int) and 1 <= suggestion.params["count"] <= 9


def test_no_candidate_is_proposed_twice_and_an_exhausted_space_ends_the_search() -> None:
    sampler = Sampler([_candidate({"depth": DEPTH})], greater_is_better=True, seed=0)
    assert len(sampler.next(10)) == 3
    assert sampler.next(10) == []


def test_the_search_moves_towards_better_values() -> None:
    for greater_is_better in (True, False):
        sampler = Sampler([_candidate({"share": SHARE})], greater_is_better=greater_is_better, seed=0)
        for _ in range(10):
            for suggestion in sampler.next(4):
                distance = abs(suggestion.params["share"] - 0.7)
                sampler.tell(suggestion, -distance if greater_is_better else distance)
        assert np.mean([abs(p.params["share"] - 0.7) for p in sampler.next(10)]) < 0.2  # by chance 0.29


# The search


def test_held_out_rows_are_never_touched(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()
    save = cross_validation.save_rows

    def spy(path: Path, frame: pd.DataFrame, truth: Any, folds: Any, order: Any) -> None:
        seen.update(frame.index.tolist())
        save(path, frame, truth, folds, order)

    monkeypatch.setattr("platform_lib.training.search.search.save_rows", spy)
    config = compose(project).config
    split = split_rows(load_dataset(project, config.data), config)
    search(project, candidates(project, []), trials=1)
    assert seen == set(split.table.index[~split.held_out])
    assert not seen & set(split.table.index[split.held_out])


def _summary(trials: list[Trial]) -> list[Any]:
    return [(trial.number, trial.choices, trial.params, trial.scores) for trial in trials]


def test_the_same_seed_gives_the_same_result(project: Project) -> None:
    tried = candidates(project, ["search.folds=2"])
    first, again = (search(project, tried, trials=5) for _ in range(2))
    assert _summary(first.trials) == _summary(again.trials)
    assert [trial.number for trial in first.trials] == [1, 2, 3, 4, 5]


def test_another_seed_proposes_other_candidates() -> None:
    one, other = (Sampler([_candidate({"share": SHARE})], greater_is_better=True, seed=seed).next(3) for seed in (0, 1))
    assert [suggestion.params for suggestion in one] != [suggestion.params for suggestion in other]


@pytest.mark.slow
def test_more_workers_give_the_same_result(project: Project) -> None:
    tried = candidates(
        project,
        ["search.folds=2", "model=logistic,boosting", "+search.space.boosting.max_iter={type: int, low: 2, high: 9}"],
    )
    alone = search(project, tried, trials=6)
    together = search(project, tried, trials=6, jobs=2)
    assert _summary(alone.trials) == _summary(together.trials)


def test_the_best_is_the_highest_mean_over_the_folds_and_its_overrides_compose_to_it(project: Project) -> None:
    told: list[Trial] = []
    tried = candidates(
        project,
        [
            "search.folds=2",
            "model=logistic",
            "model.class_weight=balanced",
            "+search.space.logistic.tol={type: choice, choices: [0.1]}",
        ],
    )
    result = search(project, tried, trials=5, on_trial=told.append)
    best = result.best
    assert best is not None
    assert best.mean == max(trial.mean for trial in result.trials)
    assert sorted(trial.number for trial in told) == [1, 2, 3, 4, 5]
    assert [text.partition("=")[0] for text in best.overrides] == [
        "model",
        "model.class_weight",
        "model.params.C",
        "+model.params.tol",
    ]
    config = compose(project, best.overrides).config
    assert config.model.params == {**tried[0].config.model.params, **best.params}
    assert config.model.class_weight == "balanced"


def test_for_a_metric_that_is_minimised_the_best_is_the_lowest(project: Project) -> None:
    result = search(project, candidates(project, ["search.folds=2", "gate.metric=log_loss"]), trials=4)
    assert result.best is not None
    assert result.best.mean == min(trial.mean for trial in result.trials)


def test_a_failed_trial_is_recorded_with_its_reason_and_the_others_continue(project: Project) -> None:
    tried = candidates(project, ["search.folds=2", "++search.space.logistic={C: {type: choice, choices: [-1.0, 1.0]}}"])
    result = search(project, tried, trials=10)
    assert result.ended == "exhausted"
    assert sorted((trial.params["C"], trial.error is None) for trial in result.trials) == [(-1.0, False), (1.0, True)]
    assert "The 'C' parameter of LogisticRegression must be a float" in next(
        trial.error for trial in result.trials if trial.error
    )
    assert result.best is not None and result.best.params == {"C": 1.0}


def test_a_timeout_starts_no_more_trials_but_keeps_the_first(project: Project) -> None:
    result = search(project, candidates(project, ["search.folds=2"]), trials=50, timeout_s=1e-9)
    assert (result.ended, len(result.trials)) == ("timeout", 4)


def test_an_interruption_keeps_the_finished_trials(project: Project) -> None:
    def stop_at_two(trial: Trial) -> None:
        if trial.number == 2:
            raise KeyboardInterrupt

    result = search(project, candidates(project, ["search.folds=2"]), trials=50, on_trial=stop_at_two)
    assert (result.ended, len(result.trials)) == ("interrupt", 2)
    assert result.best is not None


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "0.1"), (None, "null"), (True, "true"), ("sqrt", "sqrt"), ("null", "'null'"), ("a b", "'a b'"), ([1, 2], "[1,2]"), ("it's", "'it\\'s'")],
)  # fmt: skip
def test_a_written_override_value_reads_back_the_same(project: Project, value: Any, text: str) -> None:
    assert as_override(value) == text
    assert compose(project, [f"+model.params.new={text}"]).config.model.params["new"] == value


def test_missing_project_code_is_reported_before_the_search(own: Project) -> None:
    (own.root / "src" / own.package / "model.py").unlink()
    with pytest.raises((UsageError, NotFound), match=r"model does not exist|cannot import|model\.py is missing"):
        candidates(own, [])
