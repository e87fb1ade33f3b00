"""Reviewed names: types in scikit-learn's usual pipelines that skops does not trust, per kind of node.

Reviewed means that constructing the type in that node runs no code chosen by the file and touches no file, process or
network. The list comes from dumping every estimator of scikit-learn, which `tests/model/` repeats.
"""

from typing import Final

# Kinds of nodes that a file may contain. Excluded are bound methods and `operator` functions, whose past
# vulnerabilities are CVE-2025-54413 and CVE-2025-54412, and readers of old or foreign formats.
LOADERS: Final = frozenset(
    {
        "BytearrayNode",
        "BytesNode",
        "ConstructorFromReduceNode",
        "DTypeNode",
        "DefaultDictNode",
        "DictNode",
        "FunctionNode",
        "JsonNode",
        "ListNode",
        "LossNode",
        "MaskedArrayNode",
        "NdArrayNode",
        "ObjectNode",
        "PartialNode",
        "RandomGeneratorNode",
        "RandomStateNode",
        "SetNode",
        "SliceNode",
        "SparseMatrixNode",
        "TreeNode",
        "TupleNode",
        "TypeNode",
    }
)

# Types that skops calls with the text of a dictionary's key.
KEY_TYPES: Final = frozenset(
    {"builtins.str", "builtins.int", "builtins.float", "builtins.bool"}
    | {
        f"numpy.{name}"
        for name in (
            "str_",
            "bool",
            "bool_",
            "float32",
            "float64",
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
        )
    }
)

_DISTANCES = (
    *(
        "Euclidean",
        "SEuclidean",
        "Manhattan",
        "Chebyshev",
        "Minkowski",
        "Mahalanobis",
        "Hamming",
        "Canberra",
        "BrayCurtis",
        "Jaccard",
    ),
    *("Dice", "Kulsinski", "RogersTanimoto", "RussellRao", "SokalMichener", "SokalSneath", "Haversine", "Matching"),
)
_KERNELS = (
    *("CompoundKernel", "ConstantKernel", "DotProduct", "ExpSineSquared", "Exponentiation", "Matern", "PairwiseKernel"),
    *("Product", "RBF", "RationalQuadratic", "Sum", "WhiteKernel"),
)
_SPLITTERS = (
    *(
        "KFold",
        "StratifiedKFold",
        "GroupKFold",
        "StratifiedGroupKFold",
        "RepeatedKFold",
        "RepeatedStratifiedKFold",
        "TimeSeriesSplit",
    ),
    *(
        "ShuffleSplit",
        "StratifiedShuffleSplit",
        "GroupShuffleSplit",
        "LeaveOneOut",
        "LeaveOneGroupOut",
        "PredefinedSplit",
    ),
)

# Constructed without calling their constructor, then given their attributes.
_OBJECTS: Final = frozenset(
    {
        # Trees of histogram boosting. Like `Tree` below, they are arrays of indices that scikit-learn follows
        # unchecked, so a crafted one could read out of bounds; the registered SHA-256 protects against that.
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        # Parts of calibrated, thresholded and multi-class classifiers.
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.multiclass._ConstantPredictor",
        "sklearn.metrics._scorer._CurveScorer",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.metrics._scorer._Scorer",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
        # Column choice, splines, imputation.
        "sklearn.compose._column_transformer.make_column_selector",
        "scipy.interpolate._bsplines.BSpline",
        "sklearn.impute._iterative.IterativeImputer",
        # Neighbours: search trees and the distances in them.
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._ball_tree.BallTree32",
        "sklearn.neighbors._ball_tree.BallTree64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neighbors._kd_tree.KDTree32",
        "sklearn.neighbors._kd_tree.KDTree64",
        *(f"sklearn.metrics._dist_metrics.{name}Distance{bits}" for name in _DISTANCES for bits in ("", "32", "64")),
        # Gaussian processes.
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS),
        # Neural networks, clustering, searches as the final estimator.
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.model_selection._search.HalvingGridSearchCV",
        "sklearn.model_selection._search_successive_halving.HalvingGridSearchCV",
        "sklearn.model_selection._search_successive_halving.HalvingRandomSearchCV",
        *(f"sklearn.model_selection._split.{name}" for name in _SPLITTERS),
        # This library's transformers; they have plain values only.
        "platform_lib.project.transformers.DateParts",
        "platform_lib.project.transformers.EmptyColumnsAsZero",
        "platform_lib.project.transformers.HashedTexts",
        # Bytes in a boosting library's own format, read by its native parser; and plain values.
        "platform_lib.boosters.estimators.BoostedTreesClassifier",
        "platform_lib.boosters.estimators.BoostedTreesRegressor",
        # Other gradient boosting libraries: their pickled state is their own model format, read by their native parser.
        "catboost.core.CatBoostClassifier",
        "catboost.core.CatBoostRegressor",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
        "xgboost.sklearn.XGBRFClassifier",
        "xgboost.sklearn.XGBRFRegressor",
    }
)

# Functions from arrays to arrays that FunctionTransformer and similar steps call at prediction. skops trusts NumPy's
# and SciPy's ufuncs.
_FUNCTIONS: Final = frozenset(
    {
        *(
            f"numpy.{name}"
            for name in ("around", "clip", "digitize", "mean", "median", "nan_to_num", "ravel", "round", "where")
        ),
        "scipy._lib.array_api_compat.numpy._aliases.asarray",  # stored in BSpline
        "sklearn.utils.validation.check_array",  # stored in HistGradientBoosting with categories
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        *(
            f"sklearn.feature_selection._univariate_selection.{name}"
            for name in ("chi2", "f_classif", "f_oneway", "f_regression", "r_regression")
        ),
        *(f"sklearn.feature_selection._mutual_info.mutual_info_{task}" for task in ("classif", "regression")),
        # Scorers inside a search or a tuned threshold.
        *(
            f"sklearn.metrics._classification.{name}"
            for name in (
                *(
                    "accuracy_score",
                    "balanced_accuracy_score",
                    "brier_score_loss",
                    "f1_score",
                    "fbeta_score",
                    "jaccard_score",
                    "log_loss",
                ),
                *("matthews_corrcoef", "precision_score", "recall_score"),
            )
        ),
        *(
            f"sklearn.metrics._ranking.{name}"
            for name in ("average_precision_score", "roc_auc_score", "top_k_accuracy_score")
        ),
        *(
            f"sklearn.metrics._regression.{name}"
            for name in (
                *(
                    "explained_variance_score",
                    "max_error",
                    "mean_absolute_error",
                    "mean_absolute_percentage_error",
                    "mean_squared_error",
                ),
                *("mean_squared_log_error", "median_absolute_error", "r2_score", "root_mean_squared_error"),
            )
        ),
    }
)

# Types that `make_column_selector(dtype_include=…)` compares with the columns' types; they are only referred to. skops
# trusts concrete NumPy types and Python's own numbers and texts. OrderedDict, below, holds LightGBM's scores.
_COLUMN_TYPES: Final = frozenset(
    {
        *("builtins.object", "builtins.complex", "datetime.datetime", "datetime.timedelta"),
        *(
            f"numpy.{name}"
            for name in (
                *("generic", "number", "integer", "signedinteger", "unsignedinteger", "inexact", "floating"),
                *("complexfloating", "flexible", "character"),
            )
        ),
        *(
            f"pandas.{name}"
            for name in (
                *("CategoricalDtype", "StringDtype", "BooleanDtype", "DatetimeTZDtype", "Timestamp", "Timedelta"),
                *(f"{kind}{bits}Dtype" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)),
                *("Float32Dtype", "Float64Dtype"),
            )
        ),
    }
)

TRUSTED: Final = {
    "ObjectNode": _OBJECTS,
    "FunctionNode": _FUNCTIONS,
    # All trees and forests of scikit-learn; see the note on TreePredictor.
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
    "DTypeNode": frozenset({"numpy.dtype"}),
    "DictNode": frozenset({"sklearn.utils._bunch.Bunch", "collections.OrderedDict"}),
    # Always constructed as functools.partial and not called while loading; the function in it is checked separately.
    "PartialNode": frozenset({"functools.partial"}),
    # Read by SciPy without pickle.
    "SparseMatrixNode": frozenset(
        f"scipy.sparse._{form}.{form}_{kind}" for form in ("csr", "csc", "coo") for kind in ("matrix", "array")
    ),
    "TupleNode": frozenset({"sklearn.impute._iterative._ImputerTriplet"}),
    # Immutable values; their constructors take numbers and a zone's name, which zoneinfo resolves only inside its own
    # folder.
    "ConstructorFromReduceNode": frozenset({"datetime.timedelta", "datetime.timezone", "zoneinfo.ZoneInfo"}),
    "TypeNode": frozenset({"numpy.asarray", "collections.OrderedDict", *_COLUMN_TYPES}),
}
