"""The reviewed names: what scikit-learn's usual pipelines hold besides what skops trusts itself, each for the place where it belongs.

Reviewed means: made there, it runs no code of the file's choosing and touches no file, process or network. Found by dumping every estimator
of scikit-learn; `tests/model/test_trust.py` does so again.
"""

from typing import Final

# Kinds of nodes that may stand in a file at all. Not here: bound methods and `operator` functions, whose past holes are CVE-2025-54413 and
# CVE-2025-54412, and readers of old or foreign formats.
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

# What skops calls with the text of a dictionary's key.
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

# Made without calling their constructor; then given their attributes.
_OBJECTS: Final = frozenset(
    {
        # Trees of histogram boosting. Like `Tree` below they are arrays of indices which scikit-learn follows unchecked, so that a crafted
        # one could read outside of memory; the registered SHA-256 is what guards them.
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
        # Neural networks, clustering, searches kept as the final estimator.
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.model_selection._search.HalvingGridSearchCV",
        "sklearn.model_selection._search_successive_halving.HalvingGridSearchCV",
        "sklearn.model_selection._search_successive_halving.HalvingRandomSearchCV",
        *(f"sklearn.model_selection._split.{name}" for name in _SPLITTERS),
        # Our own transformers; they hold plain values only.
        "platform_lib.project.transformers.DateParts",
        # Gradient boosting of others: their pickled state is their own model format, read by their native parser.
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

# Referred to, and called with data at prediction (by FunctionTransformer and the like): from arrays to arrays, nothing else. NumPy's and
# SciPy's ufuncs are trusted by skops.
_FUNCTIONS: Final = frozenset(
    {
        *(
            f"numpy.{name}"
            for name in ("around", "clip", "digitize", "mean", "median", "nan_to_num", "ravel", "round", "where")
        ),
        "scipy._lib.array_api_compat.numpy._aliases.asarray",  # kept by BSpline
        "sklearn.utils.validation.check_array",  # kept by HistGradientBoosting with categories
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        *(
            f"sklearn.feature_selection._univariate_selection.{name}"
            for name in ("chi2", "f_classif", "f_oneway", "f_regression", "r_regression")
        ),
        *(f"sklearn.feature_selection._mutual_info.mutual_info_{task}" for task in ("classif", "regression")),
        # What a scorer inside a search or a tuned threshold computes.
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

TRUSTED: Final = {
    "ObjectNode": _OBJECTS,
    "FunctionNode": _FUNCTIONS,
    # All trees and forests of scikit-learn; see the note on TreePredictor.
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
    "DTypeNode": frozenset({"numpy.dtype"}),
    "DictNode": frozenset({"sklearn.utils._bunch.Bunch"}),
    # Always made as functools.partial itself and not called while loading; the function in it is judged on its own.
    "PartialNode": frozenset({"functools.partial"}),
    # Read by SciPy without pickle, whatever the name.
    "SparseMatrixNode": frozenset(
        f"scipy.sparse._{form}.{form}_{kind}" for form in ("csr", "csc", "coo") for kind in ("matrix", "array")
    ),
    "TupleNode": frozenset({"sklearn.impute._iterative._ImputerTriplet"}),
    # Immutable values; their constructors take numbers and a zone's name, which zoneinfo keeps inside its own folder.
    "ConstructorFromReduceNode": frozenset({"datetime.timedelta", "datetime.timezone", "zoneinfo.ZoneInfo"}),
    "TypeNode": frozenset({"numpy.asarray"}),
}
