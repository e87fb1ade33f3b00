"""Write the folder of a registered model: MLflow's model in skops, with contract, profile and configuration."""

import importlib.metadata
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from platform_lib.data.contract import DataContract, dump_contract
from platform_lib.data.frame import typed_values
from platform_lib.data.sample_rows import made_up_value
from platform_lib.model.artifact import Predictions, file_sha256, files_sha256
from platform_lib.model.card import ModelCard, write_card
from platform_lib.model.profile import parse_profile
from platform_lib.model.reference_answers import build_reference_answers, write_reference_answers
from platform_lib.names import PREDICTION_COLUMN, ArtifactFile, VersionTag

if TYPE_CHECKING:
    from mlflow.models import Model, ModelSignature
    from sklearn.pipeline import Pipeline

EXAMPLE_ROWS = 3
_ALWAYS = ("numpy", "pandas", "scikit-learn", "skops")
_KNOWN_MODULES = {"builtins", "numpy", "pandas", "platform_lib", "sklearn", "skops"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelContent:
    """The content of a version."""

    pipeline: "Pipeline"
    """Fitted."""
    contract: DataContract
    example: pd.DataFrame
    """Rows of the feature frame, shape (n, features), n ≥ 1; the first three are stored as the input example,
    with made-up values in private columns."""
    predictions: Predictions
    """For the n rows of `example`."""
    profile: dict[str, Any]
    config_yaml: str
    package: str | None
    """The project's package, whose types the model may contain."""
    trusted_types: tuple[str, ...] = ()
    card: ModelCard = field(default_factory=ModelCard)


def write_model(content: ModelContent, folder: Path, mlflow_model: "Model") -> dict[str, str]:
    """Write the folder.

    Args:
        content: What to write.
        folder: Must not exist.
        mlflow_model: Has the id that MLflow gave the model.
    Returns:
        Version tags with the SHA-256 of the model file and of this library's other files.
    Raises:
        UntrustedModel: The pipeline contains a type that is not trusted.
    """
    import mlflow.sklearn
    import skops.io

    from platform_lib.model.trust import check_types

    draft = folder.with_name(f"{folder.name}.skops")
    skops.io.dump(content.pipeline, draft)
    trusted = check_types(draft, package=content.package, trusted_types=content.trusted_types)
    draft.unlink()
    mlflow.sklearn.save_model(
        content.pipeline,
        str(folder),
        mlflow_model=mlflow_model,
        serialization_format="skops",
        skops_trusted_types=trusted,
        signature=signature(content.contract, content.predictions),
        input_example=_shown(content.example.head(EXAMPLE_ROWS), content.contract),
        pip_requirements=requirements(trusted, boosters=_boosters(content.pipeline)),
    )
    (folder / ArtifactFile.CONTRACT).write_text(dump_contract(content.contract), encoding="utf-8")
    (folder / ArtifactFile.CONFIG).write_text(content.config_yaml, encoding="utf-8")
    (folder / ArtifactFile.PROFILE).write_text(json.dumps(content.profile, ensure_ascii=False), encoding="utf-8")
    write_card(content.card, folder)
    write_reference_answers(
        build_reference_answers(
            content.pipeline,
            content.example,
            content.contract,
            parse_profile(content.profile),
            predictions=content.predictions,
        ),
        folder,
    )
    return {
        VersionTag.MODEL_SHA256: file_sha256(folder / ArtifactFile.MODEL),
        VersionTag.FILES_SHA256: files_sha256(folder),
    }


def _shown(frame: pd.DataFrame, contract: DataContract) -> pd.DataFrame:
    """The rows with made-up values in private columns, in the dtypes of `feature_frame`."""
    made_up = {
        name: typed_values([made_up_value(contract.columns[name])] * len(frame), name, contract.columns[name])
        for name in contract.features
        if contract.columns[name].is_private
    }
    return frame.assign(**{name: pd.Series(values, frame.index, values.dtype) for name, values in made_up.items()})


def signature(contract: DataContract, predictions: Predictions) -> "ModelSignature":
    """MLflow's signature: the features by their contract types, and the label or number that `predict` returns.

    Without probabilities: an MLflow model has one predict function, and its clients expect labels.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    # Whole numbers are integers in a file and floats in a column with missing values, and booleans are objects there;
    # MLflow accepts none for another.
    types = {"string": DataType.string, "datetime": DataType.datetime, "integer": AnyType(), "boolean": AnyType()}
    columns = {name: contract.columns[name] for name in contract.features}
    inputs = [
        ColSpec(types.get(column.type, DataType.double), name, required=not column.nullable)
        for name, column in columns.items()
    ]
    kind = np.asarray(predictions.values).dtype.kind
    output = {"f": DataType.double, "i": DataType.long, "b": DataType.boolean}.get(kind, DataType.string)
    return ModelSignature(inputs=Schema(inputs), outputs=Schema([ColSpec(output, PREDICTION_COLUMN)]))


def requirements(types: Iterable[str], *, boosters: Iterable[str] = ()) -> list[str]:
    """The distributions that a model's types come from, pinned to the versions installed here.

    Without the project's package, which is not on a package index.

    Args:
        types: Full names of types in the model file.
        boosters: Names of boosting libraries, whose types the file does not hold.
    """
    modules = {name.split(".")[0] for name in types} | set(boosters)
    found = {*_ALWAYS}
    if "platform_lib" in modules:
        # An editable installation does not list its modules.
        found.add("platform-lib")
    if others := modules - _KNOWN_MODULES:
        # Reads the files of every installed distribution: half a second.
        distributions = importlib.metadata.packages_distributions()
        found |= {names[0] for module in others if (names := distributions.get(module))}
    return sorted(pin for name in found if (pin := _pin(name)))


def _boosters(part: Any) -> set[str]:
    """Names of the boosting libraries in a pipeline."""
    members = [step for _, step in getattr(part, "steps", ())] + [getattr(part, "estimator_", None)]
    found = {name for member in members if member is not None for name in _boosters(member)}
    return found | ({part.library} if type(part).__module__ == "platform_lib.boosters.estimators" else set())


def _pin(distribution: str) -> str | None:
    try:
        installed = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    direct = json.loads(installed.read_text("direct_url.json") or "{}")
    if not direct:
        return f"{distribution}=={installed.version}"
    commit = direct.get("vcs_info", {}).get("commit_id")
    if commit:
        extra = "[serving]" if distribution == "platform-lib" else ""
        return f"{distribution}{extra} @ git+{direct['url']}@{commit}"
    # A folder on this machine does not exist elsewhere.
    return f"{distribution}=={installed.version}" if distribution == "platform-lib" else None
