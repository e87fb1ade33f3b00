"""A version whose steps are all covered is validated and served without pandas."""

import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sklearn.pipeline import Pipeline

from platform_lib.boosters.estimators import BoostedTreesClassifier
from platform_lib.data.frame import feature_frame
from platform_lib.data.rows import Row, columns_of, rows_of
from platform_lib.model.artifact import LoadedModel, Predictions, predict
from platform_lib.model.profile import Profile, build_profile, parse_profile
from platform_lib.model.reference_answers import (
    ReferenceAnswers,
    build_reference_answers,
    read_reference_answers,
    stored_probe_answers,
    write_reference_answers,
)
from platform_lib.registry.model_files import requirements
from platform_lib.serving.fastpath.parity import difference_from
from platform_lib.serving.fastpath.selection import prediction_function, select_fast_path
from platform_lib.serving.models.example import example_row
from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder
from tests.conftest import REPOSITORY
from tests.serving.sample_models import CLASSIFICATION, fitted, frame_of, loaded, rows, write_artifact

EXAMPLE: Row = rows_of([example_row(CLASSIFICATION)], CLASSIFICATION)[0]


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return fitted()


@pytest.fixture(scope="module")
def profile(pipeline: Pipeline) -> Profile:
    frame = frame_of(rows(200, seed=5), CLASSIFICATION)
    return parse_profile(build_profile(frame, predict(pipeline, frame), CLASSIFICATION))


@pytest.fixture(scope="module")
def kept(pipeline: Pipeline, profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> ReferenceAnswers:
    """Reference answers, written to an artifact and read again."""
    folder = tmp_path_factory.mktemp("artifact")
    write_reference_answers(
        build_reference_answers(pipeline, frame_of(rows(200, seed=5), CLASSIFICATION), CLASSIFICATION, profile), folder
    )
    read = read_reference_answers(folder)
    assert read is not None
    return read


class UnusedPipeline(LoadedModel):
    """A version whose pipeline must not run."""

    def predict(self, table: Any) -> Predictions:
        raise AssertionError("the pipeline was run")


def unused_pipeline(pipeline: Pipeline) -> LoadedModel:
    return UnusedPipeline(name="people", version="1", pipeline=pipeline, contract=CLASSIFICATION, sha256="0")


def test_stored_predictions_are_those_of_the_pipeline_for_probe_rows_and_real_rows(
    pipeline: Pipeline, profile: Profile, kept: ReferenceAnswers
) -> None:
    found = stored_probe_answers(kept, CLASSIFICATION, profile)
    assert found is not None
    asked, answers = found
    assert len(asked) == len(answers) > len(kept.rows)
    assert difference_from(answers, loaded(pipeline).predict, asked, CLASSIFICATION) is None


def test_stored_predictions_for_other_probe_rows_are_not_compared(profile: Profile, kept: ReferenceAnswers) -> None:
    assert stored_probe_answers(msgspec.structs.replace(kept, check=None), CLASSIFICATION, profile) is None
    assert stored_probe_answers(kept, CLASSIFICATION, None) is None
    assert kept.check is not None
    moved = msgspec.structs.replace(kept.check, example=[*kept.check.example[:5], 0.123, *kept.check.example[6:]])
    assert stored_probe_answers(msgspec.structs.replace(kept, check=moved), CLASSIFICATION, profile) is None


def test_with_the_libraries_of_training_the_pipeline_does_not_run(
    pipeline: Pipeline, profile: Profile, kept: ReferenceAnswers
) -> None:
    model = unused_pipeline(pipeline)
    selection = select_fast_path(model, EXAMPLE, profile, kept, same_libraries=True)
    assert selection.fast is not None, selection.reason
    assert select_fast_path(model, EXAMPLE, profile, kept, same_libraries=False).fast is None


def test_predictions_that_differ_from_the_stored_ones_are_compared_with_the_pipeline(
    pipeline: Pipeline, profile: Profile, kept: ReferenceAnswers
) -> None:
    assert kept.check is not None
    (label, shares), *others = kept.check.answers  # type: ignore[misc]
    forged = msgspec.structs.replace(
        kept, check=msgspec.structs.replace(kept.check, answers=[(f"not {label}", shares), *others])
    )
    assert select_fast_path(loaded(pipeline), EXAMPLE, profile, forged, same_libraries=True).fast is not None
    assert select_fast_path(unused_pipeline(pipeline), EXAMPLE, profile, forged, same_libraries=True).fast is None


@pytest.mark.parametrize("booster", [None, "lightgbm", "xgboost"])  # CatBoost requires pandas
def test_a_version_is_validated_and_predicts_without_pandas(
    booster: str | None, pipeline: Pipeline, profile: Profile, kept: ReferenceAnswers, tmp_path: Path
) -> None:
    if booster is not None:
        frame = frame_of(rows(200, seed=5), CLASSIFICATION)
        model = BoostedTreesClassifier(booster, params={"n_estimators": 5})
        pipeline = Pipeline([("features", pipeline[:-1]), ("model", model)]).fit(frame, pipeline.predict(frame))
        kept = build_reference_answers(pipeline, frame, CLASSIFICATION, profile)
    sha256 = write_artifact(tmp_path / "version", pipeline)
    (tmp_path / "version" / "profile.json").write_bytes(msgspec.json.encode(profile))
    write_reference_answers(kept, tmp_path / "version")
    (tmp_path / "version" / "requirements.txt").write_text(
        "\n".join(requirements([], boosters=[booster] if booster else [])), encoding="utf-8"
    )
    code = textwrap.dedent("""
        import sys
        from pathlib import Path
        from platform_lib.serving.models.validation import validate
        from platform_lib.serving.fastpath.selection import prediction_function
        from platform_lib.serving.models.registry_client import ResolvedVersion

        folder, sha256 = sys.argv[1:]
        tags = {"mlp.model_sha256": sha256}
        resolved = ResolvedVersion(name="people", version="1", tags=tags, fetch=lambda target: Path(folder))
        validated = validate(resolved, Path(folder), package=None, trusted_types=())
        assert validated.selection.fast is not None, validated.selection.reason
        columns = {name: [value] for name, value in validated.example.items()}
        predict = prediction_function(validated.model, validated.selection)
        light = predict(columns)
        assert not {"pandas", "pyarrow"} & set(sys.modules), "pandas or pyarrow was imported"
        heavy = validated.model.predict(columns)
        assert "pandas" in sys.modules
        assert light.values.tolist() == heavy.values.tolist()
        print("same")
    """)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "version"), sha256],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "same\n", done.stderr


def test_the_pipeline_predicts_rows_that_the_fast_path_refuses(
    pipeline: Pipeline, profile: Profile, kept: ReferenceAnswers
) -> None:
    model = loaded(pipeline)
    selection = select_fast_path(model, EXAMPLE, profile, kept, same_libraries=True)
    assert selection.fast is not None

    def refuses(_block: Any) -> Any:
        raise ValueError("no")

    refusing = replace(selection, fast=replace(selection.fast, predict_block=refuses))
    columns = columns_of([EXAMPLE], CLASSIFICATION.features)
    expected = predict(pipeline, feature_frame(columns, CLASSIFICATION))
    assert prediction_function(model, refusing)(columns).values.tolist() == expected.values.tolist()


def test_the_log_writer_writes_without_pandas(tmp_path: Path) -> None:
    code = textwrap.dedent("""
        import io, sys
        import msgspec
        from platform_lib.serving.request_log import __main__ as log_process

        batch = {
            "kind": "predictions", "model": "m", "version": "1", "task": "classification", "classes": ["no", "yes"],
            "columns": {"age": "integer", "town": "string"},
            "records": [
                [
                    0,
                    [["r1", "key", 1.0, 2]],
                    {"age": [31.0, None], "town": ["Bern", None]},
                    ["no", "yes"],
                    [[0.75, 0.25], [0.5, 0.5]],
                ]
            ],
        }
        body = msgspec.msgpack.encode(batch)
        sys.stdin = io.TextIOWrapper(io.BytesIO(len(body).to_bytes(4, "big") + body))
        sys.argv = ["writer", sys.argv[1], "10", "100", "100"]
        log_process.main()
        assert not {"pandas", "numpy"} & set(sys.modules)
    """)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, json.loads(done.stdout)["written"]) == (0, 2), done.stderr
    found = LogFolder.at(str(tmp_path)).read(PREDICTIONS).to_pylist()
    assert [(row["age"], row["town"], row["prediction"], row["probabilities"]) for row in found] == [
        (31, "Bern", "no", [("no", 0.75), ("yes", 0.25)]),
        (None, None, "yes", [("no", 0.5), ("yes", 0.5)]),
    ]


def test_imports_are_blocked_only_in_this_thread_and_this_block() -> None:
    code = textwrap.dedent("""
        import threading
        from platform_lib.serving.light_imports import imports_blocked

        def can_import():
            try:
                import wave
            except ModuleNotFoundError:
                return False
            return True

        seen = {}
        with imports_blocked("wave"):
            seen["inside"] = can_import()
            other = threading.Thread(target=lambda: seen.update(other=can_import()))
            other.start()
            other.join()
        import sys
        sys.modules.pop("wave", None)
        seen["after"] = can_import()
        assert seen == {"inside": False, "other": True, "after": True}, seen
    """)
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_loading_one_version_after_another_leaves_the_import_system_as_it_is() -> None:
    code = textwrap.dedent("""
        import sys
        from platform_lib.serving.light_imports import import_sklearn

        import_sklearn()
        finders = len(sys.meta_path)
        import_sklearn()
        assert len(sys.meta_path) == finders, sys.meta_path
    """)
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
