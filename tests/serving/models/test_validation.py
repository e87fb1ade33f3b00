"""Which versions are rejected, with which reason, and that the current version keeps serving."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from platform_lib.model.artifact import files_sha256
from platform_lib.registry.reference import Reference
from platform_lib.serving.models.loader import ModelLoader
from platform_lib.training.features import standard_features
from tests.serving.models.broken_artifacts import (
    broken_answers,
    broken_contract,
    broken_profile,
    foreign_type,
    no_contract,
    no_model,
    not_registered,
    other_answers,
    other_bytes,
    other_columns,
    other_libraries,
    truncated,
    unfitted,
)
from tests.serving.sample_models import REGRESSION, FolderRegistry, fitted, version_of, write_answers, write_artifact


@pytest.mark.parametrize(
    ("spoil", "check", "reason"),
    [
        (truncated, "files", "model file's SHA-256 is"),
        (broken_contract, "loading", "contract.yaml"),
        (broken_profile, "files", "the artifact's profile.json cannot be read"),
        (broken_answers, "files", "the artifact's answers.json cannot be read"),
        (other_libraries, "dependencies", "it was trained with scikit-learn 1.2.0, but "),
        (other_answers, "parity", "version 3 predicts the rows in its artifact differently than in training: row "),
        (other_bytes, "files", "model file's SHA-256 is"),
        (not_registered, "files", "but none was registered"),
        (foreign_type, "files", "holds the type builtins.eval, which is not on a list"),
        (no_contract, "files", "has no contract.yaml"),
        (no_model, "files", "has no model.skops"),
        (unfitted, "example", "(NotFittedError). NotFittedError: the message may quote values of private columns"),
        (other_columns, "example", "version 3 fails on its own example: "),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_version_that_cannot_serve_is_rejected_and_the_old_one_stays(
    spoil: Callable[[Path], str],
    check: str,
    reason: str,
    loader: ModelLoader,
    registry: FolderRegistry,
    artifacts: dict[str, tuple[Path, str]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry.add("1", *artifacts["1"])
    loader.poll()
    registry.add("3", tmp_path / "3", spoil(tmp_path / "3"))
    for _ in range(3):
        loader.poll()
    assert version_of(loader) == "1"
    assert (loader.state.rejected["3"].check, reason in loader.state.rejected["3"].reason) == (check, True)
    assert str(tmp_path) not in loader.state.rejected["3"].reason
    assert [record.message for record in caplog.records if "is refused" in record.message] == [
        f"version 3 of people is refused: {loader.state.rejected['3'].reason}"
    ]
    assert registry.fetched == ["1", "3"]


def test_a_rejection_says_what_the_model_said_if_no_column_is_private(
    loader: ModelLoader, registry: FolderRegistry, tmp_path: Path
) -> None:
    columns = {name: column for name, column in REGRESSION.columns.items() if name != "secret"}
    contract = msgspec.structs.replace(REGRESSION, columns=columns)
    model = Pipeline([("features", standard_features(contract)), ("model", Ridge())])
    registry.add("3", tmp_path, write_artifact(tmp_path, model, contract))
    loader.poll()
    assert "(NotFittedError). NotFittedError: This " in loader.state.rejected["3"].reason


def test_files_that_differ_from_the_registered_ones_are_rejected(
    loader: ModelLoader, registry: FolderRegistry, tmp_path: Path
) -> None:
    """The contract decides which columns are required and logged, so it must be the registered one, like the model."""
    sha256 = write_artifact(tmp_path, fitted(seed=3))
    registry.tags = {"mlp.files_sha256": files_sha256(tmp_path)}
    contract = (tmp_path / "contract.yaml").read_text(encoding="utf-8")
    (tmp_path / "contract.yaml").write_text(contract.replace("log: false", "log: true"), encoding="utf-8")
    registry.add("3", tmp_path, sha256)
    loader.poll()
    assert (
        "contract, profile, configuration, model card or reference answers are not the registered ones"
        in loader.state.rejected["3"].reason
    )
    (tmp_path / "contract.yaml").write_text(contract, encoding="utf-8")
    fresh = ModelLoader(registry, Reference("people", alias="champion"), package=None)
    fresh.poll()
    assert version_of(fresh) == "3"


def test_matching_reference_answers_validate_and_their_absence_is_noted(
    loader: ModelLoader,
    registry: FolderRegistry,
    artifacts: dict[str, tuple[Path, str]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry.add("1", *artifacts["1"])
    loader.poll()
    assert loader.current is not None
    assert loader.current.notes == ("its artifact holds no predictions of the training process to compare with",)
    assert f"version 1 of people: {loader.current.notes[0]}" in caplog.messages
    pipeline = fitted(seed=3)
    registry.add("3", tmp_path, write_artifact(tmp_path, pipeline))
    kept = write_answers(tmp_path, pipeline)
    loader.poll()
    assert version_of(loader) == "3"
    assert not loader.current.notes
    assert loader.current.reference_answers == kept
