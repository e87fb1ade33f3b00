"""The public names of the library: everything that a project's own code imports.

A project's `src/`, `tests/` and `notebooks/` are written once by the template and never updated, so these names stay.
Every other module of `platform_lib` is internal and may move. Each name is imported on first use, because scikit-learn
and pandas take seconds to load.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from platform_lib.boosters.estimators import BoostedTreesClassifier as BoostedTreesClassifier
    from platform_lib.boosters.estimators import BoostedTreesRegressor as BoostedTreesRegressor
    from platform_lib.data.contract import Column as Column
    from platform_lib.data.contract import DataContract as DataContract
    from platform_lib.data.dataset import load_table as load_table
    from platform_lib.data.dataset import selected_name as selected_name
    from platform_lib.data.frame import feature_frame as feature_frame
    from platform_lib.data.frame import target_values as target_values
    from platform_lib.errors import CheckFailed as CheckFailed
    from platform_lib.errors import NotFound as NotFound
    from platform_lib.errors import PlatformError as PlatformError
    from platform_lib.errors import UsageError as UsageError
    from platform_lib.metrics.own import metric as metric
    from platform_lib.model.artifact import LoadedModel as LoadedModel
    from platform_lib.model.artifact import Predictions as Predictions
    from platform_lib.model.artifact import predict as predict
    from platform_lib.project.transformers import DateParts as DateParts
    from platform_lib.project.transformers import EmptyColumnsAsZero as EmptyColumnsAsZero
    from platform_lib.project.transformers import HashedTexts as HashedTexts
    from platform_lib.registry.loading import load_model as load_model
    from platform_lib.settings import Project as Project
    from platform_lib.settings import find_project as find_project
    from platform_lib.training.boosters.choice import BOOSTERS as BOOSTERS
    from platform_lib.training.boosters.choice import boosted_trees as boosted_trees
    from platform_lib.training.config.compose import compose as compose
    from platform_lib.training.config.schema import GateConfig as GateConfig
    from platform_lib.training.config.schema import MetricsConfig as MetricsConfig
    from platform_lib.training.config.schema import ModelConfig as ModelConfig
    from platform_lib.training.config.schema import SearchConfig as SearchConfig
    from platform_lib.training.config.schema import SplitConfig as SplitConfig
    from platform_lib.training.config.schema import TrainConfig as TrainConfig
    from platform_lib.training.evaluation import Evaluation as Evaluation
    from platform_lib.training.features import compose_pipeline as compose_pipeline
    from platform_lib.training.features import standard_features as standard_features
    from platform_lib.training.gates import Verdict as Verdict
    from platform_lib.training.steps import Rows as Rows
    from platform_lib.training.steps import Split as Split
    from platform_lib.training.steps import Steps as Steps
    from platform_lib.training.steps import TrainingResult as TrainingResult

# Module → names. `docs/reference.md` lists them in this order.
_MODULES = {
    "training.config.schema": (
        "TrainConfig",
        "ModelConfig",
        "SplitConfig",
        "GateConfig",
        "SearchConfig",
        "MetricsConfig",
    ),
    "training.config.compose": ("compose",),
    "training.features": ("standard_features", "compose_pipeline"),
    "project.transformers": ("DateParts", "EmptyColumnsAsZero", "HashedTexts"),
    "training.boosters.choice": ("BOOSTERS", "boosted_trees"),
    "boosters.estimators": ("BoostedTreesClassifier", "BoostedTreesRegressor"),
    "metrics.own": ("metric",),
    "training.steps": ("Steps", "Rows", "Split", "TrainingResult"),
    "training.evaluation": ("Evaluation",),
    "training.gates": ("Verdict",),
    "settings": ("Project", "find_project"),
    "data.dataset": ("load_table", "selected_name"),
    "data.contract": ("DataContract", "Column"),
    "data.frame": ("feature_frame", "target_values"),
    "registry.loading": ("load_model",),
    "model.artifact": ("LoadedModel", "Predictions", "predict"),
    "errors": ("PlatformError", "UsageError", "NotFound", "CheckFailed"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [  # noqa: RUF022  in the order of docs/reference.md
    "TrainConfig",
    "ModelConfig",
    "SplitConfig",
    "GateConfig",
    "SearchConfig",
    "MetricsConfig",
    "compose",
    "standard_features",
    "compose_pipeline",
    "DateParts",
    "EmptyColumnsAsZero",
    "HashedTexts",
    "BOOSTERS",
    "boosted_trees",
    "BoostedTreesClassifier",
    "BoostedTreesRegressor",
    "metric",
    "Steps",
    "Rows",
    "Split",
    "TrainingResult",
    "Evaluation",
    "Verdict",
    "Project",
    "find_project",
    "load_table",
    "selected_name",
    "DataContract",
    "Column",
    "feature_frame",
    "target_values",
    "load_model",
    "LoadedModel",
    "Predictions",
    "predict",
    "PlatformError",
    "UsageError",
    "NotFound",
    "CheckFailed",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'platform_lib.project' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"platform_lib.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
