"""Default models against a plain baseline, on tables of a folder: `python -m benchmarks.models.scores FOLDER`.

The folder holds CSV files and `tables.csv` with the columns `file`, `target`, `task` and `leave_out` (columns that give
the target away, separated by `;`). Each table is imported as `mlp data import` would. Rows are split at random, 80 to
20, several times; the same rows are given to every model:

- the models of `template/`, with their configuration;
- the baseline: `HistGradientBoosting` with scikit-learn's defaults, on numbers as they are and on ordinal codes of
  texts and times.

The score is balanced accuracy or R². A model is at or above the baseline if the mean difference is at least minus one
standard error of the splits.
"""

import argparse
import csv
import io
import json
import resource
import runpy
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from platform_lib.data.contract import DataContract
from platform_lib.data.frame import feature_frame, target_values
from platform_lib.data.imports.options import ImportRequest
from platform_lib.data.imports.plan import plan_import
from platform_lib.metrics import score
from platform_lib.model.artifact import predict
from platform_lib.settings import Project
from platform_lib.training.config.schema import GateConfig, ModelConfig, TrainConfig
from platform_lib.training.features import compose_pipeline, standard_features

TEMPLATE = Path(__file__).resolve().parents[2] / "template"
METRICS = {"classification": "balanced_accuracy", "regression": "r2"}
MODELS = {"classification": ("boosting", "forest", "logistic"), "regression": ("boosting", "forest", "ridge")}
FEW_ROWS = 20_000
"""Tables with more rows are split less often."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """An imported table."""

    name: str
    contract: DataContract
    frame: pd.DataFrame
    truth: NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """What one model did on one split."""

    score: float
    seconds: float
    """CPU seconds to fit."""
    size: int
    """Bytes of the model file, or 0."""


def imported(folder: Path, row: dict[str, str], scratch: Path) -> Table:
    """Import one table as `mlp data import` would, in memory."""
    file = folder / row["file"]
    if dropped := [name for name in (row.get("leave_out") or "").split(";") if name]:
        table = pd.read_csv(file, dtype=str, keep_default_na=False).drop(columns=dropped)
        file = scratch / file.name
        table.to_csv(file, index=False)
    project = Project(root=scratch, name="bench", package="bench", task=row["task"])
    plan = plan_import(project, ImportRequest(file=file, target=row["target"]))
    frame = plan.table.to_pandas()
    return Table(
        name=file.stem,
        contract=plan.contract,
        frame=feature_frame(frame, plan.contract),
        truth=target_values(frame, plan.contract),
    )


def configured(contract: DataContract, model: str) -> tuple[TrainConfig, Any]:
    """The configuration of a generated project, and the estimator that its `model.py` builds."""
    task = contract.task
    conf = TEMPLATE / "conf" / f"{{% if task == '{task}' %}}model{{% endif %}}" / f"{model}.yaml"
    config = TrainConfig(
        data=contract,
        model=ModelConfig(**yaml.safe_load(conf.read_text(encoding="utf-8"))),
        gate=GateConfig(metric=METRICS[task]),
        features=yaml.safe_load((TEMPLATE / "conf" / "features" / "standard.yaml").read_text(encoding="utf-8")),
    )
    source = TEMPLATE / "src" / "{{ package_name }}" / f"{{% if task == '{task}' %}}model.py{{% endif %}}"
    return config, runpy.run_path(str(source))["build_model"](config)


def ours(table: Table, model: str) -> Any:
    """The pipeline of a generated project, unfitted."""
    config, estimator = configured(table.contract, model)
    return compose_pipeline(standard_features(table.contract, **config.features), estimator, config)


def baseline(table: Table) -> Any:
    """The plain baseline, unfitted."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    coded = table.contract.features_of("string", "datetime")
    kind = HistGradientBoostingRegressor if table.contract.task == "regression" else HistGradientBoostingClassifier
    return make_pipeline(make_column_transformer((codes, coded), remainder="passthrough"), kind(random_state=0))


def splits(table: Table, seeds: int) -> Iterator[NDArray[np.bool_]]:
    """Masks of held-out rows; every class has training rows."""
    for seed in range(seeds if len(table.truth) <= FEW_ROWS else max(1, seeds // 5)):
        held_out = np.random.default_rng(seed).random(len(table.truth)) < 0.2
        if table.contract.task == "classification":
            for label in set(table.truth.tolist()):
                rows = np.flatnonzero(table.truth == label)
                held_out[rows[:2]] = False
        yield held_out


def fitted(pipeline: Any, table: Table, held_out: NDArray[np.bool_], *, measure: bool) -> Fitted:
    """Fit on the training rows and score on the held-out ones."""
    import skops.io

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = _processor_seconds()
        pipeline.fit(table.frame[~held_out], table.truth[~held_out])
        seconds = _processor_seconds() - start
        predictions = predict(pipeline, table.frame[held_out])
    value = score(METRICS[table.contract.task], table.truth[held_out], predictions)
    if not measure:
        return Fitted(score=value, seconds=seconds, size=0)
    buffer = io.BytesIO()
    skops.io.dump(pipeline, buffer)
    return Fitted(score=value, seconds=seconds, size=buffer.tell())


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def compare(table: Table, models: list[str], seeds: int) -> Iterator[dict[str, Any]]:
    """Results per model: mean score, difference from the baseline with its standard error, CPU seconds, bytes."""
    masks = list(splits(table, seeds))
    plain = [fitted(baseline(table), table, mask, measure=False) for mask in masks]
    for model in models or MODELS[table.contract.task]:
        found = [fitted(ours(table, model), table, mask, measure=not place) for place, mask in enumerate(masks)]
        differences = np.array([one.score - other.score for one, other in zip(found, plain, strict=True)])
        error = float(differences.std(ddof=1) / np.sqrt(len(masks))) if len(masks) > 1 else 0.0
        yield {
            "table": table.name,
            "rows": len(table.truth),
            "model": model,
            "score": float(np.mean([each.score for each in found])),
            "baseline": float(np.mean([each.score for each in plain])),
            "difference": float(differences.mean()),
            "error": error,
            "seconds": float(np.mean([each.seconds for each in found])),
            "baseline_seconds": float(np.mean([each.seconds for each in plain])),
            "megabytes": found[0].size / 1e6,
        }


def main() -> None:
    """Print one row per table and model, then the shares at or above the baseline."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--models", nargs="+", default=[])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the results here, one per line")
    given = parser.parse_args()
    with (given.folder / "tables.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not given.only or Path(row["file"]).stem in given.only]
    results: list[dict[str, Any]] = []
    print("| table | rows | model | score | baseline | difference | CPU s | baseline | MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        with tempfile.TemporaryDirectory() as scratch:
            table = imported(given.folder, row, Path(scratch))
        for result in compare(table, given.models, given.seeds):
            results.append(result)
            print(
                f"| {result['table']} | {result['rows']} | {result['model']} | {result['score']:.3f} "
                f"| {result['baseline']:.3f} | {result['difference']:+.4f} ± {result['error']:.4f} "
                f"| {result['seconds']:.1f} | {result['baseline_seconds']:.1f} | {result['megabytes']:.1f} |",
                flush=True,
            )
            if given.json:
                with given.json.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(result) + "\n")
    for model in dict.fromkeys(result["model"] for result in results):
        of_model = [result for result in results if result["model"] == model]
        above = sum(result["difference"] >= -result["error"] for result in of_model)
        slower = max(result["seconds"] / max(result["baseline_seconds"], 0.01) for result in of_model)
        print(f"{model}: at or above the baseline on {above} of {len(of_model)} tables, at most {slower:.1f} × its CPU")


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    print(f"{time.perf_counter() - start:.0f} s")
