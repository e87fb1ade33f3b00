"""LightGBM, XGBoost and CatBoost as choices of `conf/model`."""

import importlib.metadata
from typing import TYPE_CHECKING, Any

from platform_lib.boosters.libraries import LIBRARIES, Library
from platform_lib.errors import PlatformError, UsageError
from platform_lib.training.config.schema import TrainConfig

if TYPE_CHECKING:
    from platform_lib.boosters.estimators import BoostedTreesClassifier, BoostedTreesRegressor

BOOSTERS = tuple(LIBRARIES)
"""Values of `model.name` that `boosted_trees` knows."""


def boosted_trees(config: TrainConfig) -> "BoostedTreesClassifier | BoostedTreesRegressor":
    """Build the estimator for `model.name` lightgbm, xgboost or catboost; `model.params` has the library's own names.

    `n_estimators` is the largest number of trees. With `early_stopping_rounds`, the number is the best one on inner
    rows: a `validation_share` of the training rows, chosen by their key, group or time as in the split.

    Raises:
        UsageError: The name is another one, or the library is not installed.
    """
    from platform_lib.boosters.estimators import BoostedTreesClassifier, BoostedTreesRegressor

    model = config.model
    if model.name not in LIBRARIES:
        raise UsageError(f"model.name is {model.name!r}, expected one of {', '.join(LIBRARIES)}.")
    library = LIBRARIES[model.name]
    if not library.is_installed():
        raise UsageError(
            f"model.name is {model.name!r}, and {library.title} is not installed: run `{_install_command(library)}`, "
            "and commit pyproject.toml and the lock file."
        )
    if config.data.task == "regression":
        return BoostedTreesRegressor(model.name, params=dict(model.params), random_state=config.seed)
    return BoostedTreesClassifier(
        model.name, params=dict(model.params), class_weight=model.class_weight, random_state=config.seed
    )


def boosters_in(model: Any) -> "list[Any]":
    """The boosted trees in an estimator or pipeline, fitted or not."""
    from platform_lib.boosters.estimators import BoostedTreesClassifier, BoostedTreesRegressor

    kinds = (BoostedTreesClassifier, BoostedTreesRegressor)
    if isinstance(model, kinds):
        return [model]
    parts = [getattr(model, "estimator_", None)]
    if all(part is None for part in parts) and hasattr(model, "get_params"):
        parts = list(model.get_params(deep=False).values())
    parts += [step for _, step in getattr(model, "steps", ())]
    return [found for part in parts if part is not None and hasattr(part, "fit") for found in boosters_in(part)]


def described(model: Any) -> list[str]:
    """Per fitted booster, its library with the version, its number of trees, and what decided on it."""
    found = []
    for booster in boosters_in(model):
        chosen = LIBRARIES[booster.library]
        text = f"{chosen.title} {_version(chosen)} has {booster.n_trees_} trees"
        if booster.n_inner_rows_:
            most = (booster.params or {}).get("n_estimators")
            text = f"{text} of at most {most}, by early stopping on {booster.n_inner_rows_} inner rows"
        found.append(text)
    return found


def _version(library: Library) -> str:
    for name in library.distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "of an unknown version"


def _install_command(library: Library) -> str:
    from platform_lib.settings import find_project

    manager = "uv"
    try:
        lock = find_project().lock_file
        manager = "pdm" if lock is not None and lock.name == "pdm.lock" else "uv"
    except PlatformError:
        pass  # outside a project, as in a notebook elsewhere
    return f"{manager} add '{requirement(library)}'"


def requirement(library: Library) -> str:
    """The requirement that the extra of this library's name has, without its markers; else the distribution's name."""
    from packaging.requirements import Requirement

    name = library.distributions[0]
    try:
        texts = importlib.metadata.requires("platform-lib") or []
    except importlib.metadata.PackageNotFoundError:
        return name
    for found in map(Requirement, texts):
        if found.name == name and found.marker is not None and found.marker.evaluate({"extra": library.name}):
            return f"{found.name}{found.specifier}"
    return name
