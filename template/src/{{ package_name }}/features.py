"""Turns the table's columns into numbers. Yours to change."""

from platform_lib.project import TrainConfig, standard_features
from sklearn.base import TransformerMixin


def build_features(config: TrainConfig) -> TransformerMixin:
    """Impute and scale numbers, encode categories, split dates into parts. The settings are in `conf/features`."""
    return standard_features(config.data, **config.features)
