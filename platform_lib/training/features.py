"""Standard feature engineering by contract type, and the pipeline of features and model."""

from collections.abc import Sequence
from typing import Any

from sklearn.base import BaseEstimator, clone, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from platform_lib.data.contract import DataContract
from platform_lib.errors import UsageError
from platform_lib.project.transformers import PARTS, DateParts, HashedTexts
from platform_lib.training.config.schema import TrainConfig
from platform_lib.training.estimators.features import for_estimator, mark_adaptable

_CATEGORIES = ("auto", "one_hot")
_IMPUTATIONS = ("median", "mean", "most_frequent")


def standard_features(
    contract: DataContract,
    *,
    categories: str = "auto",
    numeric_imputation: str = "median",
    scale: bool = True,
    min_frequency: int | float | None = 5,
    max_categories: int | None = 50,
    date_parts: list[str] | tuple[str, ...] = PARTS,
    new_numbers: Sequence[str] = (),
    new_categories: Sequence[str] = (),
    new_times: Sequence[str] = (),
    **unknown: Any,
) -> ColumnTransformer:
    """Convert every feature of the contract to numbers, by its type.

    - Numbers and booleans: missing values are imputed, with an indicator column for nullable features; then scaled to
    mean 0 and standard
      deviation 1.
    - Texts: one column per category, missing being one of them; rare and unknown categories share one. Categories of
    sensitive columns are hashed, so that the model file does not hold them.
    - Times: `DateParts`.

    That is for linear models and for all others that need it. `compose_pipeline` changes it for trees and boosting,
    which take categories as codes and missing values as they are: numbers are neither imputed nor scaled, and
    each text is one column of codes. Rare categories share a code, and unknown ones count as missing. Texts with more
    categories than the contract lists are codes in alphabetical order, which are split as numbers; unknown ones are -1.

    Args:
        contract: Names and types of the features.
        categories: `auto` decides by the estimator; `one_hot` gives every estimator what linear models get.
        numeric_imputation: `median`, `mean` or `most_frequent` of the column.
        scale: Whether to scale numbers; trees do not need it.
        min_frequency: Categories in fewer training rows (or a smaller share, if below 1) are rare; None keeps all.
        max_categories: Largest number of columns per text, if it is one column per category; None is no limit.
        date_parts: Some of year, month, day, weekday, hour.
        new_numbers: Numbers that a step before this one adds to the frame.
        new_categories: Texts that a step before this one adds.
        new_times: Times that a step before this one adds.
        **unknown: Settings that do not exist, for the error.
    Returns:
        An unfitted transformer from shape (n, features) to (n, columns), float64.
    Raises:
        UsageError: A setting is unknown or has an invalid value, or the contract has no features.
    """
    if unknown:
        raise UsageError(
            f"conf/features sets {next(iter(unknown))!r}, which standard_features does not know; "
            "it knows categories, numeric_imputation, scale, min_frequency, max_categories, date_parts. Or use it in "
            "features.py."
        )
    if categories not in _CATEGORIES:
        raise UsageError(f"features.categories is {categories!r}, expected one of {', '.join(_CATEGORIES)}.")
    if numeric_imputation not in _IMPUTATIONS:
        raise UsageError(
            f"features.numeric_imputation is {numeric_imputation!r}, expected one of {', '.join(_IMPUTATIONS)}."
        )
    if isinstance(date_parts, str) or not date_parts or set(date_parts) - set(PARTS):
        raise UsageError(f"features.date_parts is {date_parts!r}, expected some of {', '.join(PARTS)}.")
    if not isinstance(scale, bool):
        raise UsageError(f"features.scale is {scale!r}, expected true or false.")
    if not _is_count(min_frequency) and not (isinstance(min_frequency, float) and 0 < min_frequency < 1):
        raise UsageError(
            f"features.min_frequency is {min_frequency!r}, expected a whole number of rows, a share between 0 and 1, "
            "or null."
        )
    if not _is_count(max_categories):
        raise UsageError(
            f"features.max_categories is {max_categories!r}, expected a whole number of 1 or more, or null."
        )
    if not contract.features:
        raise UsageError(
            f"the table {contract.name!r} has no features: every column is the target, the id or the time. Add a "
            "column to learn from."
        )

    def numeric(*first: tuple[str, Any], indicate: bool) -> Pipeline:
        # A column without values stays, as zeros: dropping it would make the columns depend on the rows.
        impute = SimpleImputer(strategy=numeric_imputation, add_indicator=indicate, keep_empty_features=True)
        return Pipeline([*first, ("impute", impute), *([("scale", StandardScaler())] if scale else [])])

    numbers = contract.features_of("integer", "number", "boolean")
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=min_frequency,
        max_categories=max_categories,
        sparse_output=False,
    )
    always = [name for name in numbers if not contract.columns[name].nullable]
    texts = contract.features_of("string")
    sensitive = [name for name in texts if contract.columns[name].sensitive]
    hashed = Pipeline([("hash", HashedTexts(contract.name)), ("encode", clone(encoder))])
    groups = [
        ("number", numeric(indicate=False), [*always, *new_numbers]),
        ("nullable", numeric(indicate=True), [name for name in numbers if contract.columns[name].nullable]),
        ("category", encoder, [*(name for name in texts if name not in sensitive), *new_categories]),
        ("sensitive", hashed, sensitive),
        (
            "time",
            numeric(("parts", DateParts(tuple(date_parts))), indicate=False),
            [*contract.features_of("datetime"), *new_times],
        ),
    ]
    features = ColumnTransformer([group for group in groups if group[2]])
    many = [name for name in texts if name not in sensitive and contract.columns[name].allowed is None]
    return mark_adaptable(features, many) if categories == "auto" else features


def _is_count(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1)


def compose_pipeline(features: BaseEstimator, model: BaseEstimator, config: TrainConfig) -> Pipeline:
    """Combine features and model to one unfitted pipeline; with `model.threshold`, it predicts by that probability.

    Standard features with `categories: auto` become codes if the model takes categories as such. The pipeline then
    contains a copy of the model that is told which columns those are.

    Raises:
        UsageError: A threshold with regression, with other than two classes, or with a model without probabilities.
    """
    features, model = for_estimator(features, model)
    if config.model.threshold is not None:
        model = FixedThresholdClassifier(
            model,
            threshold=config.model.threshold,
            pos_label=_positive_label(model, config),
            response_method="predict_proba",
        )
    return Pipeline([("features", features), ("model", model)])


def _positive_label(model: BaseEstimator, config: TrainConfig) -> Any:
    contract = config.data
    if contract.task == "regression" or is_regressor(model):
        raise UsageError(
            f"model.threshold is {config.model.threshold}, but the target {contract.target!r} is a number: set it to "
            "null."
        )
    if not hasattr(model, "predict_proba"):
        raise UsageError(
            f"{type(model).__name__} gives no probabilities, so model.threshold {config.model.threshold} cannot be "
            "applied: set it to null."
        )
    target = contract.columns[contract.target]
    labels = [False, True] if target.type == "boolean" else sorted(target.allowed or [])
    if len(labels) != 2:
        raise UsageError(
            f"model.threshold is {config.model.threshold}, which is for two classes, but "
            f"conf/data/{contract.name}.yaml allows "
            f"{len(labels) or 'unlisted'} labels of {contract.target!r}: set it to null, or list the two labels there."
        )
    return labels[1]
