"""Tables with known properties, and held-out rows with the predictions of a pipeline fitted on them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.frame import feature_frame
from platform_lib.model.artifact import predict
from platform_lib.training.config.schema import GateConfig, ModelConfig, TrainConfig
from platform_lib.training.diagnostics.held_out import HeldOut
from platform_lib.training.features import compose_pipeline, standard_features

COLUMNS = {
    "strong": Column(type="number"),
    "weak": Column(type="number", nullable=True),
    "noise": Column(type="number"),
    "city": Column(type="string"),
    "member": Column(type="boolean"),
    "day": Column(type="datetime"),
}


def contract_of(target: Column, **changed: Column) -> DataContract:
    task: Any = "regression" if target.type == "number" else "classification"
    return DataContract(name="t", path="t.csv", task=task, target="y", columns={**COLUMNS, **changed, "y": target})


def raw_features(rows: int, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    weak = random.normal(size=rows)
    weak[random.random(rows) < 0.05] = np.nan
    return {
        "strong": random.normal(size=rows),
        "weak": weak,
        "noise": random.normal(size=rows),
        "city": random.choice(["Rome", "Pisa", "Bari", "Como"], size=rows),
        "member": random.random(rows) < 0.5,
        "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(random.integers(0, 365, size=rows), unit="D"),
    }


def signal(features: dict[str, Any]) -> NDArray[np.float64]:
    return np.asarray(2.0 * features["strong"] + 0.5 * np.nan_to_num(features["weak"]))


def classes(features: dict[str, Any], names: tuple[str, ...], seed: int) -> Any:
    """Labels drawn from logistic probabilities, so that a logistic regression is the right model."""
    noise = np.random.default_rng(seed + 1).logistic(size=len(features["strong"]))
    latent = signal(features) + noise
    if len(names) == 2:
        return np.array(names, dtype=object)[(latent > 0).astype(int)]
    edges = np.quantile(latent, np.linspace(0, 1, len(names) + 1)[1:-1])
    return np.array(names, dtype=object)[np.searchsorted(edges, latent)]


@dataclass(frozen=True)
class Fitted:
    pipeline: Pipeline
    rows: HeldOut


def fitted(features: dict[str, Any], truth: NDArray[Any], contract: DataContract, *, held_out: int) -> Fitted:
    """Fit the standard features and a linear model on the first rows, and hold out the last ones."""
    frame = feature_frame(features, contract)
    model = LinearRegression() if contract.task == "regression" else LogisticRegression(max_iter=1000)
    config = TrainConfig(data=contract, model=ModelConfig(name="m"), gate=GateConfig(metric="accuracy"))
    pipeline = compose_pipeline(standard_features(contract), model, config)
    pipeline.fit(frame[:-held_out], truth[:-held_out])
    return Fitted(pipeline, held_out_of(pipeline, frame[-held_out:], truth[-held_out:], contract))


def held_out_of(pipeline: Pipeline, frame: pd.DataFrame, truth: NDArray[Any], contract: DataContract) -> HeldOut:
    return HeldOut(
        frame=frame,
        truth=truth,
        predictions=predict(pipeline, frame),
        contract=contract,
        table_rows=np.arange(len(truth)),
    )


def two_classes(*, rows: int = 2000, held_out: int = 1000, seed: int = 0, **changed: Column) -> Fitted:
    features = raw_features(rows, seed)
    contract = contract_of(Column(type="string", allowed=["no", "yes"]), **changed)
    return fitted(features, classes(features, ("no", "yes"), seed), contract, held_out=held_out)


def three_classes(*, rows: int = 2000, held_out: int = 1000, seed: int = 0) -> Fitted:
    features = raw_features(rows, seed)
    contract = contract_of(Column(type="string", allowed=["high", "low", "mid"]))
    return fitted(features, classes(features, ("low", "mid", "high"), seed), contract, held_out=held_out)


def numbers(*, rows: int = 2000, held_out: int = 1000, seed: int = 0, target: Column | None = None) -> Fitted:
    features = raw_features(rows, seed)
    truth = 10 + 3 * signal(features) + np.random.default_rng(seed + 1).normal(size=rows)
    return fitted(features, truth, contract_of(target or Column(type="number")), held_out=held_out)
