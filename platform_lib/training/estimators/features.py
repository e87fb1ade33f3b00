"""Standard features for estimators that take categories and missing values as they are."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from platform_lib.project.transformers import DateParts, EmptyColumnsAsZero
from platform_lib.training.estimators.native import NativeEstimator, native_estimator

_MARK = "_categories_by_estimator"
_ORDERED = "ordered"
"""Name of the group of texts with many values."""


def mark_adaptable(features: ColumnTransformer, many: Sequence[str] = ()) -> ColumnTransformer:
    """Let `for_estimator` change these features.

    Args:
        features: Their groups are those of `standard_features`.
        many: Texts with too many values to be a set of categories. Their codes are split as numbers: most values are
            rare, and similar texts often begin alike.
    """
    setattr(features, _MARK, list(many))
    return features


def for_estimator(features: Any, model: BaseEstimator) -> tuple[Any, BaseEstimator]:
    """Return features and model that fit together, both unfitted.

    Args:
        features: What the user's `build_features` returns.
        model: What the user's `build_model` returns.
    Returns:
        The arguments themselves, if the last step of the features is not standard features with `categories: auto` or
        the model does not take categories. Otherwise copies.
    """
    standard = _last_step(features)
    if getattr(standard, _MARK, None) is None:
        return features, model
    native = native_estimator(model)
    adapted = None if native is None else _adapted(standard, native)
    if native is None or adapted is None:
        return _with_last_step(features, _unmarked(standard)), model
    return _with_last_step(features, adapted), native.model


def _adapted(standard: ColumnTransformer, native: NativeEstimator) -> ColumnTransformer | None:
    """The features for a native estimator, which is told its columns; None if somebody changed a group."""
    if standard.transformer_weights:
        return None
    groups, positions, columns = [], list[int](), 0
    for name, member, names in _divided(standard.transformers, getattr(standard, _MARK)):
        inner, outputs = (_ordered(native) if name == _ORDERED else _native(member, native)), len(names)
        if inner is None:
            return None
        if name in ("category", "sensitive"):
            positions += range(columns, columns + outputs)
        elif name == "time":
            outputs *= len(_date_parts(member).parts)
        groups.append((name, inner, names))
        columns += outputs
    native.mark(positions, columns)
    adapted = _unmarked(standard)
    adapted.transformers = groups
    return adapted


def _divided(groups: Sequence[Any], many: Sequence[str]) -> Iterator[tuple[str, Any, list[str]]]:
    """The groups, with texts of many values as one of their own."""
    for name, member, names in groups:
        if name == "category" and type(member) is OneHotEncoder and set(many) & set(names):
            if few := [each for each in names if each not in many]:
                yield name, member, few
            yield _ORDERED, member, [each for each in names if each in many]
        else:
            yield name, member, names


def _ordered(native: NativeEstimator) -> Pipeline:
    """Codes in alphabetical order, for texts of many values."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=np.nan)
    return Pipeline([("encode", codes), ("impute", _gaps(native))])


def _gaps(native: NativeEstimator) -> EmptyColumnsAsZero:
    return EmptyColumnsAsZero(native.how.least_values, native.how.least_share)


def _native(member: Any, native: NativeEstimator) -> Any:
    """One group's transformer: no imputation, scaled only if needed, and codes instead of one column per category."""
    if type(member) is OneHotEncoder:
        return OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=np.nan,
            encoded_missing_value=np.nan,
            min_frequency=member.min_frequency,
            max_categories=native.most_codes,
        )
    if type(member) is not Pipeline:
        return None
    steps = []
    for name, step in member.steps:
        if name == "scale" and not native.how.is_single:
            continue
        inner: Any = step
        if name == "impute":
            inner = _gaps(native)
        elif name == "encode":
            inner = _native(step, native)
        if inner is None:
            return None
        steps.append((name, inner))
    return Pipeline(steps)


def _date_parts(member: Any) -> DateParts:
    return next(step for _, step in member.steps if isinstance(step, DateParts))


def _last_step(features: Any) -> Any:
    while type(features) is Pipeline and features.steps:
        features = features.steps[-1][1]
    return features


def _with_last_step(features: Any, last: Any) -> Any:
    """The features with another last step; other steps are the same objects."""
    if type(features) is not Pipeline:
        return last
    changed = copy.copy(features)
    name, step = features.steps[-1]
    changed.steps = [*features.steps[:-1], (name, _with_last_step(step, last))]
    return changed


def _unmarked(standard: ColumnTransformer) -> ColumnTransformer:
    """A copy, for the pipeline, with the same settings and output."""
    plain = copy.copy(standard)
    delattr(plain, _MARK)
    return plain
