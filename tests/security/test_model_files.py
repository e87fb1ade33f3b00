"""A model file touches no other file: what opens files that requests name, or reads a cache from a path, is refused.

The attacker can write to the registry's artifact store and its tags, so that the hashes of a crafted file fit.
"""

import inspect
import re
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from platform_lib.data.contract import Column, DataContract
from platform_lib.errors import UntrustedModel
from platform_lib.model.artifact import LoadedModel, load_artifact, predict
from platform_lib.model.trust import check_types
from platform_lib.registry.reference import Reference
from platform_lib.serving.models.loader import Follower
from tests.model.trust.model_files import edit, nodes, saved, text
from tests.serving.sample_models import FolderRegistry, write_artifact

NOTES = DataContract(
    name="notes",
    path="data/notes.csv",
    task="classification",
    target="spam",
    columns={"note": Column(type="string"), "spam": Column(type="boolean")},
)
READS_FILES = [
    make(input=kind) for make in (CountVectorizer, HashingVectorizer, TfidfVectorizer) for kind in ("filename", "file")
]
SOME_FILE = Path(__file__)


def reader(vectorizer: Any) -> Pipeline:
    """A model of one text column, fitted on the path of a file."""
    features = ColumnTransformer([("note", vectorizer, "note")])
    frame = pd.DataFrame({"note": [str(SOME_FILE)] * 4})
    if vectorizer.input == "file":
        return Pipeline([("features", features), ("model", Ridge())])
    return Pipeline([("features", features), ("model", LogisticRegression())]).fit(frame, [True, False] * 2)


def load(folder: Path, sha256: str) -> LoadedModel:
    return load_artifact(folder, name="notes", version="1", sha256=sha256, package=None)


@pytest.mark.parametrize("vectorizer", READS_FILES, ids=repr)
def test_a_vectorizer_that_opens_files_is_refused(vectorizer: Any, tmp_path: Path) -> None:
    sha256 = write_artifact(tmp_path / "version", reader(vectorizer), NOTES)
    says = rf"a {type(vectorizer).__name__} with input='{vectorizer.input}', so that each prediction would open files"
    with pytest.raises(UntrustedModel, match=says):
        check_types(tmp_path / "version" / "model.skops", package=None)
    with pytest.raises(UntrustedModel, match=says):
        load(tmp_path / "version", sha256)


def test_the_servers_loader_refuses_it_before_it_predicts(tmp_path: Path) -> None:
    registry = FolderRegistry()
    registry.add("1", tmp_path / "1", write_artifact(tmp_path / "1", reader(CountVectorizer(input="filename")), NOTES))
    loader = Follower(registry, Reference("people", alias="champion"), package=None)
    loader.poll()
    assert loader.current is None
    assert loader.state.rejected["1"].check == "files"
    assert "Use input='content'" in loader.state.rejected["1"].reason


def test_a_vectorizer_of_texts_passes(tmp_path: Path) -> None:
    model = reader(TfidfVectorizer())
    sha256 = write_artifact(tmp_path / "version", model, NOTES)
    frame = pd.DataFrame({"note": [str(SOME_FILE)]})
    assert load(tmp_path / "version", sha256).pipeline.predict(frame).tolist() == model.predict(frame).tolist()


def hidden_by_identity(path: Path) -> None:
    """skops reads `filename` from the first node with an identity; the vectorizer's own node says `content`."""

    def change(schema: dict[str, Any]) -> None:
        attributes = [n for n in nodes(schema) if n["__class__"] == "CountVectorizer"][-1]["content"]["content"]
        twin = attributes["input"]["__id__"]
        for node in nodes(schema):
            if node.get("__id__") == twin:
                node["__id__"] += 10**6
        first = {**text("filename"), "__id__": twin}
        attributes["input"]["__id__"] = twin
        attributes["encoding"] = first
        items = sorted(attributes.items(), key=lambda item: item[0] == "input")
        attributes.clear()
        attributes.update(items)

    edit(path, change)


def test_a_crafted_file_that_hides_the_parameter_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    from platform_lib.model.artifact import file_sha256

    write_artifact(tmp_path / "version", reader(CountVectorizer()), NOTES)
    path = tmp_path / "version" / "model.skops"
    hidden_by_identity(path)
    crafted = skops.io.load(path, trusted=check_types(path, package=None))
    assert crafted["features"].transformers_[0][1].input == "filename", "the file no longer hides it"
    with pytest.raises(UntrustedModel, match="notes version 1 holds a CountVectorizer with input='filename'"):
        load(tmp_path / "version", file_sha256(path))


class Hiding:
    """Holds a vectorizer where the garbage collector does not see it."""

    def __init__(self, inner: Any) -> None:
        self.steps = np.empty(1, dtype=object)
        self.steps[0] = inner


@pytest.mark.parametrize(
    "pipeline",
    [
        make_pipeline(FeatureUnion([("a", CountVectorizer(input="filename"))]), Ridge()),
        make_pipeline(FunctionTransformer(kw_args={"deep": [{"er": CountVectorizer(input="filename")}]}), Ridge()),
        make_pipeline(FunctionTransformer(Hiding(CountVectorizer(input="filename"))), Ridge()),
        make_pipeline(type("Mine", (TfidfVectorizer,), {})(input="file"), Ridge()),
        make_pipeline(CountVectorizer(input=np.str_("content")), Ridge()),
    ],
    ids=["union", "arguments", "array", "subclass", "not a text"],
)
def test_it_is_found_wherever_it_is_in_the_pipeline(pipeline: Pipeline) -> None:
    from platform_lib.model.trust.file_access import check_objects

    with pytest.raises(UntrustedModel, match="so that each prediction would open files"):
        check_objects(pipeline, "notes version 1")


def test_a_loaded_model_has_no_cache_on_a_path(tmp_path: Path) -> None:
    inner = Pipeline([("scale", StandardScaler())], memory=str(tmp_path / "inner"))
    model = Pipeline(
        [("features", ColumnTransformer([("x", inner, ["x"])])), ("model", Ridge())], memory=str(tmp_path / "outer")
    )
    model.fit(pd.DataFrame({"x": [1.0, 2.0, 3.0]}), [1.0, 2.0, 3.0])
    sha256 = write_artifact(tmp_path / "version", model, NOTES)
    loaded = load(tmp_path / "version", sha256).pipeline
    caches = {name: value for name, value in loaded.get_params().items() if name.endswith("memory")}
    assert caches == {"memory": None, "features__x__memory": None}


def test_no_other_parameter_of_scikit_learn_names_a_file() -> None:
    """A new release may bring one; then decide what the trust check does about it, and add it here."""
    from sklearn.utils import all_estimators

    suspicious = re.compile("file|path|folder|cache|memory|input|url|uri|dir")
    found = {
        parameter
        for _, estimator in all_estimators()
        for parameter in inspect.signature(estimator).parameters
        if suspicious.search(parameter)
    }
    harmless = {"cache_size", "direction", "fit_path", "input_type", "min_impurity_decrease", "path_method"}
    harmless |= {"transform_input"}
    assert found - harmless == {"input", "memory"}


class One:
    pass


class Two:
    pass


def test_all_types_that_nobody_reviewed_are_named_at_once(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "model.skops", make_pipeline(FunctionTransformer(kw_args={"a": One(), "b": Two()}), Ridge())
    )
    here = "tests.security.test_model_files"
    with pytest.raises(UntrustedModel) as refused:
        check_types(path, package=None)
    assert f"holds the types {here}.One, {here}.Two, which are not on a list of trusted types" in str(refused.value)
    assert f'add "{here}.One", "{here}.Two" to trusted_types' in str(refused.value)
    assert len(check_types(path, package=None, trusted_types=(f"{here}.One", f"{here}.Two"))) >= 2


@pytest.mark.parametrize(
    "types",
    [object, np.number, [object, bool], [np.floating, "category"], pd.CategoricalDtype, pd.StringDtype, np.generic],
    ids=repr,
)
def test_columns_may_be_selected_by_every_usual_type(types: Any, tmp_path: Path) -> None:
    path = saved(tmp_path / "model.skops", make_column_selector(dtype_include=types, dtype_exclude=np.complexfloating))
    chosen = skops.io.load(path, trusted=check_types(path, package=None))
    assert chosen.dtype_include == types


def test_the_scores_that_lightgbm_keeps_pass(tmp_path: Path) -> None:
    scores: Any = defaultdict(OrderedDict)
    scores["training"]["l2"] = 0.5
    path = saved(tmp_path / "model.skops", make_pipeline(FunctionTransformer(kw_args={"best_score": scores}), Ridge()))
    loaded = skops.io.load(path, trusted=check_types(path, package=None))
    assert loaded[0].kw_args == {"best_score": {"training": OrderedDict(l2=0.5)}}


LIBRARIES_OWN: dict[str, Callable[[], Any]] = {
    "LGBMClassifier": lambda: lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbosity=-1),
    "LGBMRegressor": lambda: lightgbm.LGBMRegressor(n_estimators=3, n_jobs=1, verbosity=-1),
    "XGBClassifier": lambda: xgboost.XGBClassifier(n_estimators=3, n_jobs=1),
    "XGBRegressor": lambda: xgboost.XGBRegressor(n_estimators=3, n_jobs=1),
    "XGBRFClassifier": lambda: xgboost.XGBRFClassifier(n_estimators=3, n_jobs=1),
    "CatBoostClassifier": lambda: catboost.CatBoostClassifier(n_estimators=3, verbose=0, allow_writing_files=False),
    "CatBoostRegressor": lambda: catboost.CatBoostRegressor(n_estimators=3, verbose=0, allow_writing_files=False),
}


@pytest.mark.parametrize("make", LIBRARIES_OWN.values(), ids=LIBRARIES_OWN)
def test_the_estimators_of_boosting_libraries_are_trusted_by_name(make: Callable[[], Any], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(60, 3)), columns=list("abc"))
    fitted = make_pipeline(StandardScaler(), make()).fit(frame, np.digitize(frame["a"], [-0.5, 0.5]))
    path = saved(tmp_path / "model.skops", fitted)
    answers = predict(skops.io.load(path, trusted=check_types(path, package=None)), frame)
    assert answers.values.shape == (60,)
    assert answers.values.tolist() == fitted.predict(frame).ravel().tolist()


@pytest.mark.parametrize("name", ["builtins.object", "numpy.number", "collections.OrderedDict", "pandas.Timestamp"])
def test_a_type_that_is_only_referred_to_is_not_constructed(name: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "model.skops", make_pipeline(FunctionTransformer(kw_args={"a": StandardScaler()}), Ridge()))
    module, _, type_name = name.rpartition(".")

    def change(schema: dict[str, Any]) -> None:
        for node in nodes(schema):
            if node["__class__"] == "StandardScaler":
                node["__class__"], node["__module__"] = type_name, module

    with pytest.raises(UntrustedModel, match=r"(as a ObjectNode, where a genuine file never has it|on a list)"):
        check_types(edit(path, change), package=None)
