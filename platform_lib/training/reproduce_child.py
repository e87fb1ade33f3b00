"""Child process of `reproduce`: train without run, gate or registry, and write the metrics as JSON."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from platform_lib.errors import CheckFailed, PlatformError
from platform_lib.settings import Project, find_project
from platform_lib.training.steps import (
    Split,
    Steps,
    TrainingResult,
    evaluate_held_out,
    fit_pipeline,
    judge_candidate,
    split_rows,
)
from platform_lib.user_code import import_user_module

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from platform_lib.training.config.schema import TrainConfig
    from platform_lib.training.evaluation import Evaluation
    from platform_lib.training.gates import Verdict


def retrain(project: Project, config: "TrainConfig") -> dict[str, float]:
    """Train with the project's `pipeline.py`; returns the metrics on the held-out rows."""
    result = import_user_module(project, "pipeline").train(config, untracked_steps(project))
    if not isinstance(result, TrainingResult):
        raise CheckFailed(
            f"train() in pipeline.py returned {type(result).__name__}, expected what steps.register returns."
        )
    return dict(result.evaluation.metrics)


def untracked_steps(project: Project) -> Steps:
    """Steps that compute the same and store nothing."""

    def load(config: "TrainConfig") -> "pd.DataFrame":
        from platform_lib.data.dataset import load_dataset

        return load_dataset(project, config.data)

    def gate(pipeline: "Pipeline", split: Split, config: "TrainConfig") -> "Verdict":
        return judge_candidate(pipeline, split, config, champion=None, best_promoted=None)

    def register(
        pipeline: "Pipeline", evaluation: "Evaluation", verdict: "Verdict", split: Split, config: "TrainConfig"
    ) -> TrainingResult:
        del pipeline, split, config
        return TrainingResult(
            name=project.name,
            version="",
            run_id="",
            passed=verdict.passed,
            promoted=False,
            champion_before=None,
            evaluation=evaluation,
            verdict=verdict,
        )

    return Steps(
        load=load, split=split_rows, fit=fit_pipeline, evaluate=evaluate_held_out, gate=gate, register=register
    )


def main(arguments: list[str] | None = None) -> None:
    """Entry point; exits with a code of `names.ExitCode`."""
    from platform_lib.training.config.compose import read_config

    parser = argparse.ArgumentParser(prog="python -m platform_lib.training.reproduce_child", description=__doc__)
    for name, text in (
        ("--project", "Folder of the project."),
        ("--config", "The resolved config.yaml."),
        ("--out", "Where the metrics go."),
    ):
        parser.add_argument(name, type=Path, required=True, help=text)
    given = parser.parse_args(arguments)
    try:
        metrics = retrain(find_project(given.project), read_config(given.config.read_text(encoding="utf-8")))
    except PlatformError as err:
        print(f"error: {err}", file=sys.stderr)
        sys.exit(err.exit_code)
    given.out.write_text(json.dumps(metrics), encoding="utf-8")


if __name__ == "__main__":
    main()
