"""What the loader takes, what it refuses, and that what serves goes on serving."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from platform_lib.model.artifact import files_sha256
from platform_lib.registry.reference import Reference
from platform_lib.serving.models.loader import ModelLoader
from platform_lib.serving.predictor import predict_rows
from tests.serving.sample_models import CLASSIFICATION, FolderRegistry, fitted, rows, write_answers, write_artifact
from tests.waiting import wait_until

CHAMPION = Reference("people", alias="champion")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("artifacts")
    return {
        version: (folder / version, write_artifact(folder / version, fitted(seed=int(version))))
        for version in ("1", "2")
    }


@pytest.fixture
def registry() -> FolderRegistry:
    return FolderRegistry()


@pytest.fixture
def loader(registry: FolderRegistry) -> ModelLoader:
    return ModelLoader(registry, CHAMPION, package=None)


def version_of(loader: ModelLoader) -> str | None:
    return loader.current.model.version if loader.current else None


def test_an_empty_registry_is_waited_for(
    loader: ModelLoader, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
) -> None:
    assert loader.poll()
    assert loader.current is None
    assert loader.state.waiting_for == "the registry has no people@champion yet."
    registry.add("1", *artifacts["1"])
    loader.poll()
    assert version_of(loader) == "1"


def test_a_promotion_is_taken_up_and_a_rollback_gives_the_earlier_answers(
    loader: ModelLoader, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
) -> None:
    some = rows(20, seed=9)
    answers = []
    for champion in ("1", "2", "1"):
        registry.add(champion, *artifacts[champion])
        loader.poll()
        assert version_of(loader) == champion
        assert loader.current is not None
        answers.append(np.asarray(predict_rows(loader.current.model, some).probabilities))
    assert (answers[0] == answers[2]).all()
    assert (answers[0] != answers[1]).any()


def test_a_version_that_serves_is_not_fetched_again(
    loader: ModelLoader, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
) -> None:
    registry.add("1", *artifacts["1"])
    for _ in range(3):
        loader.poll()
    assert registry.fetched == ["1"]


def test_a_registry_that_is_down_changes_nothing_and_is_reported(
    loader: ModelLoader, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
) -> None:
    registry.add("1", *artifacts["1"])
    loader.poll()
    registry.down = True
    assert not loader.poll()
    assert version_of(loader) == "1"
    assert loader.state.registry_error == "the registry does not answer."
    registry.down = False
    registry.add("2", *artifacts["2"])
    assert loader.poll()
    assert loader.state.registry_error is None
    assert version_of(loader) == "2"


def test_an_alias_that_is_taken_away_leaves_the_version_serving(
    loader: ModelLoader, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
) -> None:
    registry.add("1", *artifacts["1"])
    loader.poll()
    registry.champion = None
    loader.poll()
    assert version_of(loader) == "1"
    assert loader.state.registry_error == "the registry has no people@champion yet."


def other_bytes(folder: Path) -> str:
    sha256 = write_artifact(folder, fitted(seed=3))
    with (folder / "model.skops").open("ab") as file:
        file.write(b" ")
    return sha256


def foreign_type(folder: Path) -> str:
    return write_artifact(folder, Pipeline([("f", FunctionTransformer(eval)), ("m", LogisticRegression())]))


def no_contract(folder: Path) -> str:
    sha256 = write_artifact(folder, fitted(seed=3))
    (folder / "contract.yaml").unlink()
    return sha256


def no_model(folder: Path) -> str:
    sha256 = write_artifact(folder, fitted(seed=3))
    (folder / "model.skops").unlink()
    return sha256


def unfitted(folder: Path) -> str:
    return write_artifact(folder, Pipeline([("m", LogisticRegression())]))


def other_columns(folder: Path) -> str:
    import msgspec

    columns = {name: column for name, column in CLASSIFICATION.columns.items() if name != "age"}
    return write_artifact(folder, fitted(seed=3), msgspec.structs.replace(CLASSIFICATION, columns=columns))


def not_registered(folder: Path) -> str:
    write_artifact(folder, fitted(seed=3))
    return ""


def truncated(folder: Path) -> str:
    sha256 = write_artifact(folder, fitted(seed=3))
    content = (folder / "model.skops").read_bytes()
    (folder / "model.skops").write_bytes(content[: len(content) // 2])
    return sha256


def broken_profile(folder: Path) -> str:
    sha256 = write_artifact(folder, fitted(seed=3))
    (folder / "profile.json").write_text('{"rows": ', encoding="utf-8")
    return sha256


def broken_contract(folder: Path) -> str:
    sha256 = write_artifact(folder, fitted(seed=3))
    (folder / "contract.yaml").write_text("columns: [", encoding="utf-8")
    return sha256


def broken_answers(folder: Path) -> str:
    sha256 = write_artifact(folder, fitted(seed=3))
    (folder / "answers.json").write_text("{}", encoding="utf-8")
    return sha256


def other_libraries(folder: Path) -> str:
    (folder).mkdir()
    (folder / "requirements.txt").write_text("scikit-learn==1.2.0\n", encoding="utf-8")
    return write_artifact(folder, fitted(seed=3))


def other_answers(folder: Path) -> str:
    """As if a library's newer version computed something else."""
    sha256 = write_artifact(folder, fitted(seed=3))
    write_answers(folder, fitted(seed=4))
    return sha256


@pytest.mark.parametrize(
    ("spoil", "check", "reason"),
    [
        (truncated, "files", "model file's SHA-256 is"),
        (broken_contract, "loading", "contract.yaml"),
        (broken_profile, "files", "the artifact's profile.json cannot be read"),
        (broken_answers, "files", "the artifact's answers.json cannot be read"),
        (other_libraries, "dependencies", "it was made with scikit-learn 1.2.0, and here is "),
        (other_answers, "parity", "version 3 answers the rows in its artifact otherwise than in training: row "),
        (other_bytes, "files", "model file's SHA-256 is"),
        (not_registered, "files", "but none was registered"),
        (foreign_type, "files", "holds the type builtins.eval, which is on no list"),
        (no_contract, "files", "has no contract.yaml"),
        (no_model, "files", "has no model.skops"),
        (unfitted, "example", "version 3 fails on its own example"),
        (other_columns, "example", "version 3 fails on its own example"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_version_that_cannot_serve_is_refused_with_the_reason_and_the_old_one_stays(
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


def test_other_files_than_the_registered_ones_are_refused(
    loader: ModelLoader, registry: FolderRegistry, tmp_path: Path
) -> None:
    """The contract decides what is asked for and what is logged: it must be the registered one like the model."""
    sha256 = write_artifact(tmp_path, fitted(seed=3))
    registry.tags = {"mlp.files_sha256": files_sha256(tmp_path)}
    contract = (tmp_path / "contract.yaml").read_text(encoding="utf-8")
    (tmp_path / "contract.yaml").write_text(contract.replace("log: false", "log: true"), encoding="utf-8")
    registry.add("3", tmp_path, sha256)
    loader.poll()
    assert (
        "contract, profile, configuration or answers are not those that were registered"
        in loader.state.rejected["3"].reason
    )
    (tmp_path / "contract.yaml").write_text(contract, encoding="utf-8")
    fresh = ModelLoader(registry, CHAMPION, package=None)
    fresh.poll()
    assert version_of(fresh) == "3"


def test_answers_as_in_training_are_proof_and_a_version_of_before_is_taken_with_a_note(
    loader: ModelLoader,
    registry: FolderRegistry,
    artifacts: dict[str, tuple[Path, str]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry.add("1", *artifacts["1"])
    loader.poll()
    assert loader.current is not None
    assert loader.current.notes == (
        "its artifact holds no answers of the training process, so that they could not be compared",
    )
    assert f"version 1 of people: {loader.current.notes[0]}" in caplog.messages
    pipeline = fitted(seed=3)
    registry.add("3", tmp_path, write_artifact(tmp_path, pipeline))
    kept = write_answers(tmp_path, pipeline)
    loader.poll()
    assert version_of(loader) == "3"
    assert not loader.current.notes
    assert loader.current.samples == kept


def test_files_that_are_gone_are_waited_for(
    loader: ModelLoader, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]], tmp_path: Path
) -> None:
    registry.add("1", *artifacts["1"])
    loader.poll()
    registry.add("2", tmp_path / "gone", artifacts["2"][1])
    assert not loader.poll()
    assert version_of(loader) == "1"
    assert (
        loader.state.registry_error
        == "the files of version 2 are not where the registry says; is the artifact store there?"
    )
    (tmp_path / "gone").symlink_to(artifacts["2"][0])
    assert loader.poll()
    assert version_of(loader) == "2"
    assert loader.state.rejected == {}


def test_a_refused_version_is_why_nothing_serves(loader: ModelLoader, registry: FolderRegistry, tmp_path: Path) -> None:
    registry.add("3", tmp_path / "3", other_bytes(tmp_path / "3"))
    loader.poll()
    assert loader.state.waiting_for.startswith("version 3 was refused: people version 3: the model file's SHA-256 is")


def test_a_refused_version_is_tried_again_when_it_is_promoted_again(
    loader: ModelLoader, registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]], tmp_path: Path
) -> None:
    registry.add("1", *artifacts["1"])
    loader.poll()
    broken = tmp_path / "3"
    registry.add("3", broken, no_contract(broken))
    loader.poll()
    registry.champion = "1"
    loader.poll()
    sha256 = write_artifact(broken, fitted(seed=3))
    registry.add("3", broken, sha256)
    loader.poll()
    assert version_of(loader) == "3"
    assert loader.state.rejected == {}


def test_the_thread_follows_the_alias_until_it_is_closed(
    registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
) -> None:
    swapped: list[str] = []
    loader = ModelLoader(
        registry, CHAMPION, package=None, poll_s=0.01, on_swap=lambda served: swapped.append(served.model.version)
    )
    loader.start()
    try:
        registry.add("1", *artifacts["1"])
        wait_until(lambda: version_of(loader) == "1")
        registry.add("2", *artifacts["2"])
        wait_until(lambda: version_of(loader) == "2")
    finally:
        loader.close()
    assert swapped == ["1", "2"]
    assert registry.closed
    assert version_of(loader) == "2"


def test_a_pinned_version_is_loaded_once_and_not_looked_for_again(
    registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]]
) -> None:
    registry.add("1", *artifacts["1"])
    registry.add("2", *artifacts["2"])
    loader = ModelLoader(registry, Reference("people", version="1"), package=None, poll_s=0.01)
    loader.start()
    loader._polling.join(30)
    assert not loader._polling._thread.is_alive()
    assert version_of(loader) == "1"


def test_a_bug_in_the_lookup_does_not_end_the_following(
    registry: FolderRegistry, artifacts: dict[str, tuple[Path, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add("1", *artifacts["1"])
    real, calls = registry.find, []

    def find(reference: Reference, *, known_version: str | None) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError
        return real(reference, known_version=known_version)

    monkeypatch.setattr(registry, "find", find)
    loader = ModelLoader(registry, CHAMPION, package=None, poll_s=0.01)
    loader.start()
    try:
        wait_until(lambda: version_of(loader) == "1")
    finally:
        loader.close()
