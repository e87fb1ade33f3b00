"""A model folder is loaded only if it is complete, trusted and the registered one."""

import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from platform_lib.errors import CheckFailed, UntrustedModel
from platform_lib.model.artifact import load_artifact
from tests.serving.sample_models import CLASSIFICATION, fitted, rows, write_artifact


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("artifact")
    return folder, write_artifact(folder, fitted())


def test_a_complete_folder_loads_and_predicts_raw_rows(folder: tuple[Path, str]) -> None:
    model = load_artifact(folder[0], name="people", version="7", sha256=folder[1], package=None)
    assert (model.name, model.version, model.sha256, model.contract) == ("people", "7", folder[1], CLASSIFICATION)
    some = rows(5)
    assert len(model.predict({name: [row[name] for row in some] for name in CLASSIFICATION.features}).values) == 5


@pytest.mark.parametrize("registered", ["", "0" * 64], ids=["none", "other"])
def test_a_hash_that_differs_from_the_registered_one_is_refused(registered: str, folder: tuple[Path, str]) -> None:
    with pytest.raises(UntrustedModel, match=rf"SHA-256 is {folder[1]}, but {registered or 'none'} was registered"):
        load_artifact(folder[0], name="people", version="7", sha256=registered, package=None)


@pytest.mark.parametrize("name", ["model.skops", "contract.yaml"])
def test_a_folder_that_lacks_a_file_is_refused(name: str, tmp_path: Path) -> None:
    sha256 = write_artifact(tmp_path, fitted())
    (tmp_path / name).unlink()
    with pytest.raises(UntrustedModel, match=f"people version 7: its artifact has no {name}"):
        load_artifact(tmp_path, name="people", version="7", sha256=sha256, package=None)


def test_an_object_that_is_not_a_pipeline_is_refused(tmp_path: Path) -> None:
    sha256 = write_artifact(tmp_path, LogisticRegression())
    with pytest.raises(UntrustedModel, match="holds a LogisticRegression, expected a scikit-learn Pipeline"):
        load_artifact(tmp_path, name="people", version="7", sha256=sha256, package=None)


OWN = "import numpy as np\nfrom sklearn.base import BaseEstimator, TransformerMixin\n" + (
    "class Ratio(TransformerMixin, BaseEstimator):\n"
    "    def fit(self, X, y=None):\n"
    "        self.mean_ = 2.0\n"
    "        return self\n"
    "    def transform(self, X):\n"
    "        return np.asarray(X)[:, [5]].astype(float) / self.mean_\n"
)
SAVE = """
from pathlib import Path
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from ownratio.features import Ratio
from tests.serving.sample_models import CLASSIFICATION, frame_of, rows, write_artifact
some = rows(40)
truth = ["yes" if row["score"] > 0 else "no" for row in some]
pipeline = Pipeline([("f", Ratio()), ("m", LogisticRegression())]).fit(frame_of(some, CLASSIFICATION), truth)
print(write_artifact(Path("artifact"), pipeline))
"""
LOAD = """
import sys
from pathlib import Path
from platform_lib.model.artifact import load_artifact
model = load_artifact(Path("artifact"), name="people", version="1", sha256=sys.argv[1], package="ownratio")
print(type(model.pipeline[0]).__name__)
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    package = tmp_path / "src" / "ownratio"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "features.py").write_text(OWN, encoding="utf-8")
    return tmp_path


def run(own: Path, code: str, *args: str) -> str:
    path = [str(own / "src"), str(Path(__file__).resolve().parents[2])]
    code = f"import sys; sys.path[:0] = {path!r}\n{code}"
    done = subprocess.run([sys.executable, "-c", code, *args], cwd=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_the_projects_own_transformer_loads_in_a_clean_process(own: Path) -> None:
    sha256 = run(own, SAVE)
    assert run(own, LOAD, sha256) == "Ratio"


@pytest.mark.slow
def test_missing_project_code_is_reported_in_one_sentence(own: Path) -> None:
    sha256 = run(own, SAVE)
    with pytest.raises(CheckFailed, match=r"people version 1 cannot be loaded here: ModuleNotFoundError: .*ownratio"):
        load_artifact(
            own / "artifact",
            name="people",
            version="1",
            sha256=sha256,
            package=None,
            trusted_types=("ownratio.features.Ratio",),
        )
