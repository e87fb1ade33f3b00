"""Save the fitted pipeline as an MLflow model with a signature."""

import json
from pathlib import Path

import joblib
import mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

columns = json.loads(Path("columns.json").read_text())
kinds = {
    name: "string" if name in columns["texts"] else "long" if name in columns["wholes"] else "double"
    for name in columns["names"]
}
inputs = Schema([ColSpec(kind, name, required=columns["plain"] or kind == "long") for name, kind in kinds.items()])
signature = ModelSignature(inputs, Schema([ColSpec("string")]))
# The newer default, skops, needs a list of trusted types for gradient boosting. The format does not affect prediction.
mlflow.sklearn.save_model(joblib.load("model.joblib"), "model", signature=signature, serialization_format="cloudpickle")
