"""Measure logging and registering a model after MLflow is imported: `python benchmarks/log_model.py [repeats]`."""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd


def main() -> None:
    """Register a forest of 100 trees over 20 columns several times in a fresh local store."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from platform_lib.data.contract import Column, DataContract
    from platform_lib.model.artifact import predict
    from platform_lib.names import VersionTag
    from platform_lib.registry.model_files import ModelContent
    from platform_lib.registry.versions import Registry

    names = [f"column_{number}" for number in range(20)]
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(2000, 20)), columns=names)
    truth = np.where(frame["column_0"] > 0, "yes", "no").astype(object)
    pipeline = make_pipeline(StandardScaler(), RandomForestClassifier(100, max_depth=8, random_state=0)).fit(
        frame, truth
    )
    columns = {name: Column(type="number") for name in names} | {"target": Column(type="string")}
    content = ModelContent(
        pipeline=pipeline,
        contract=DataContract(
            name="benchmark", path="data/benchmark.csv", task="classification", target="target", columns=columns
        ),
        example=frame,
        predictions=predict(pipeline, frame),
        profile={},
        config_yaml="seed: 0\n",
        package=None,
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        started = time.perf_counter()
        registry = Registry(f"sqlite:///{(Path(folder) / '.mlp' / 'mlflow.db').as_posix()}")
        import mlflow.sklearn  # noqa: F401
        import skops.io  # noqa: F401

        print(f"import MLflow and skops, create the store: {time.perf_counter() - started:.2f} s")
        seconds = []
        for _ in range(repeats):
            run = registry.client.create_run("0")
            started = time.perf_counter()
            registry.register(
                "benchmark",
                content,
                run_id=run.info.run_id,
                tags={VersionTag.GATE: json.dumps({"passed": True})},
                passed=True,
            )
            seconds.append(time.perf_counter() - started)
    print(f"log and register a model, first time: {seconds[0]:.2f} s")
    print(
        f"log and register a model, {repeats} times: median {statistics.median(seconds):.2f} s, slowest "
        f"{max(seconds):.2f} s"
    )


if __name__ == "__main__":
    main()
