"""Turns the table's columns into numbers. Yours to change."""

from platform_lib.project import TrainConfig, standard_features
from sklearn.base import TransformerMixin


def build_features(config: TrainConfig) -> TransformerMixin:
    """Impute and scale numbers, encode categories, split dates into parts. The settings are in `conf/features`."""
    return standard_features(config.data, **config.features)


# To add a column, put a step before the standard ones, and pass the column's name:
#
#     def add_ratio(frame):
#         return frame.assign(ratio=frame["a"] / frame["b"])
#
#     def build_features(config):
#         standard = standard_features(config.data, new_numbers=["ratio"], **config.features)
#         return make_pipeline(FunctionTransformer(add_ratio), standard)
#
# The page docs/features-model-metrics.md of the template's repository has more examples.
