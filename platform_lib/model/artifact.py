"""Load a model's files safely, and predict with the model. `registry` stores and finds the files."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.data.contract import DataContract, read_contract
from platform_lib.errors import CheckFailed, UntrustedModel
from platform_lib.names import ArtifactFile

# A server starts without scikit-learn, and predicts without pandas.
if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions for n rows."""

    values: NDArray[Any]
    """Labels, or numbers for regression; shape (n,)."""
    probabilities: NDArray[np.float64] | None
    """Shape (n, k) in the order of `classes`; None for regression and for classifiers without probabilities."""
    classes: tuple[Any, ...] = ()
    """The k labels as plain Python values; empty for regression."""


def predict(pipeline: "Pipeline", frame: "pd.DataFrame") -> Predictions:
    """Predict rows with a fitted pipeline, the same way in training, batch prediction and serving.

    Args:
        pipeline: Fitted; its last step is the estimator.
        frame: From `data.frame.feature_frame`, shape (n, features), n ≥ 1.
    Returns:
        Labels or numbers, shape (n,), and probabilities, shape (n, k), where the estimator has them.
    """
    inputs = pipeline[:-1].transform(frame) if len(pipeline) > 1 else frame
    estimator = pipeline[-1]
    values = np.asarray(estimator.predict(inputs))
    if values.ndim == 2 and values.shape[1] == 1:  # CatBoost's labels of three classes or more
        values = values[:, 0]
    if not hasattr(estimator, "classes_"):
        return Predictions(values.astype(np.float64), None)
    classes = tuple(estimator.classes_.tolist())
    probabilities = (
        np.asarray(estimator.predict_proba(inputs), dtype=np.float64) if hasattr(estimator, "predict_proba") else None
    )
    return Predictions(values, probabilities, classes)


def category_text(label: Any) -> str:
    """The text of a label or category, as in JSON keys and column names: `true`, `3`, `Gentoo`."""
    if isinstance(label, bool | np.bool_):
        return "true" if label else "false"
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedModel:
    """One registered version, ready to predict."""

    name: str
    version: str
    pipeline: "Pipeline"
    contract: DataContract
    sha256: str

    def predict(self, table: Any) -> Predictions:
        """Predict a raw table: a DataFrame of n rows, or a mapping from column name to n values.

        Raises:
            UsageError: A column is missing, or a value does not have the column's type.
        """
        from platform_lib.data.frame import feature_frame

        return predict(self.pipeline, feature_frame(table, self.contract))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(folder: Path) -> str:
    """One SHA-256 over this library's other files in the folder; that a file is missing changes the hash too.

    A version without a model card has the same hash as before there were cards.
    """
    names = (ArtifactFile.CONTRACT, ArtifactFile.PROFILE, ArtifactFile.CONFIG, ArtifactFile.ANSWERS)
    lines = [f"{name} {file_sha256(folder / name) if (folder / name).is_file() else '-'}\n" for name in names]
    if (folder / ArtifactFile.CARD).is_file():
        lines.append(f"{ArtifactFile.CARD} {file_sha256(folder / ArtifactFile.CARD)}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def load_artifact(
    folder: Path,
    *,
    name: str,
    version: str,
    sha256: str,
    package: str | None,
    trusted_types: tuple[str, ...] = (),
    others_sha256: str = "",
) -> LoadedModel:
    """Load a version from its downloaded artifact folder.

    Args:
        folder: Has `model.skops` and `contract.yaml`.
        name: Of the model.
        version: Of the model.
        sha256: SHA-256 of the model file in the registry (`mlp.model_sha256`).
        package: The project's package, whose types may be loaded. None trusts no package.
        trusted_types: More types, from the project's settings.
        others_sha256: SHA-256 of the other files in the registry (`mlp.files_sha256`); empty if it was not recorded.
    Raises:
        UntrustedModel: The bytes are not the registered ones, or a type is not trusted; no code of the file was
            executed.
        CheckFailed: The file is valid but cannot be loaded: a library or the package's code differs from training.
    """
    from platform_lib.model.trust import check_types

    path = folder / ArtifactFile.MODEL
    title = f"{name} version {version}"
    for file in (path, folder / ArtifactFile.CONTRACT):
        if not file.is_file():
            raise UntrustedModel(f"{title}: its artifact has no {file.name}. Register it again with `mlp train`.")
    given = file_sha256(path)
    if given != sha256:
        raise UntrustedModel(
            f"{title}: the model file's SHA-256 is {given}, but {sha256 or 'none'} was registered. "
            "The file was changed after training: do not use it; train again, or roll back with `mlp rollback`."
        )
    if others_sha256 and files_sha256(folder) != others_sha256:
        raise UntrustedModel(
            f"{title}: contract, profile, configuration, model card or reference answers are not the registered ones. "
            "A file was changed after training: train again, or roll back with `mlp rollback`."
        )
    trusted = check_types(path, package=package, trusted_types=trusted_types)
    contract = read_contract(folder / ArtifactFile.CONTRACT)
    return LoadedModel(
        name=name, version=version, pipeline=_load_pipeline(path, trusted, title), contract=contract, sha256=sha256
    )


def _load_pipeline(path: Path, trusted: list[str], title: str) -> "Pipeline":
    import skops.io  # slow to import
    from sklearn.pipeline import Pipeline

    from platform_lib.model.trust.file_access import check_objects, drop_caches

    try:
        pipeline = skops.io.load(path, trusted=trusted)
    except Exception as err:
        # A class that changed after training may raise anything when it gets its old state.
        raise CheckFailed(
            f"{title} cannot be loaded here: {type(err).__name__}: {err!s:.200} Its code or its libraries differ from "
            "those it was trained with; "
            "install those (see requirements.txt of its artifact), or train again."
        ) from err
    if not isinstance(pipeline, Pipeline):
        raise UntrustedModel(
            f"{title}: its model file holds a {type(pipeline).__name__}, expected a scikit-learn Pipeline. Register it "
            "with `mlp train`."
        )
    check_objects(pipeline, title)
    drop_caches(pipeline)
    return pipeline


def read_profile(folder: Path) -> dict[str, Any]:
    """The reference profile stored with a model."""
    return dict(json.loads((folder / ArtifactFile.PROFILE).read_text(encoding="utf-8")))
