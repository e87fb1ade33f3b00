"""Artifacts that must not serve; each function writes one and returns the SHA-256 to register."""

from pathlib import Path

import msgspec
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from tests.serving.sample_models import CLASSIFICATION, fitted, write_answers, write_artifact


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
    folder.mkdir()
    (folder / "requirements.txt").write_text("scikit-learn==1.2.0\n", encoding="utf-8")
    return write_artifact(folder, fitted(seed=3))


def other_answers(folder: Path) -> str:
    """Change the predictions, as a newer library version could."""
    sha256 = write_artifact(folder, fitted(seed=3))
    write_answers(folder, fitted(seed=4))
    return sha256
