"""The boosting libraries: their names, the extras that install them, and what of their parameters this library sets."""

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any

from platform_lib.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """One library."""

    name: str
    """As in `conf/model`; also the module to import and the extra of `platform-lib`."""
    title: str
    distributions: tuple[str, ...]
    """Distributions that provide the module; the first is the one to install."""
    reserved: tuple[str, ...]
    """Parameters that this library sets, or that have another name here."""

    @property
    def adapter(self) -> Any:
        """The module with `fit` and `predictor`."""
        return importlib.import_module(f"platform_lib.boosters.{self.name}")

    def is_installed(self) -> bool:
        """Whether the module can be imported here."""
        return importlib.util.find_spec(self.name) is not None


_COMMON = ("class_weight", "random_state", "n_jobs", "verbose", "callbacks", "early_stopping_round")

LIBRARIES = {
    library.name: library
    for library in (
        Library(
            name="lightgbm",
            title="LightGBM",
            distributions=("lightgbm",),
            reserved=(
                *_COMMON,
                *("num_iterations", "num_iteration", "n_iter", "num_tree", "num_trees", "num_round", "num_rounds"),
                *("nrounds", "num_boost_round", "max_iter", "categorical_feature", "seed", "num_threads", "verbosity"),
            ),
        ),
        Library(
            name="xgboost",
            title="XGBoost",
            distributions=("xgboost-cpu", "xgboost"),
            reserved=(*_COMMON, "seed", "nthread", "feature_types", "enable_categorical", "missing"),
        ),
        Library(
            name="catboost",
            title="CatBoost",
            distributions=("catboost",),
            reserved=(
                *_COMMON,
                *("iterations", "num_boost_round", "num_trees", "class_weights", "auto_class_weights", "cat_features"),
                *("random_seed", "thread_count", "allow_writing_files", "logging_level", "silent", "verbose_eval"),
                *("use_best_model", "od_type", "od_wait", "od_pval"),
            ),
        ),
    )
}
"""By name."""


def library(name: str) -> Library:
    """The library of that name.

    Raises:
        UsageError: There is none.
    """
    if name not in LIBRARIES:
        raise UsageError(f"there is no boosting library {name!r}; there are {', '.join(LIBRARIES)}.")
    return LIBRARIES[name]
