"""Which model files are let through, and that nothing of one runs before it was judged. Crafted files are honest ones with an edited schema."""

import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC

from platform_lib.errors import UntrustedModel
from platform_lib.model.trust import check_types

GENERATOR = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "age": GENERATOR.normal(size=60),
        "income": np.where(np.arange(60) % 9 == 0, np.nan, GENERATOR.normal(size=60)),
        "town": pd.Series(np.array(list("xyz") * 20, dtype=object), dtype=object),
    }
)
LABELS = np.array(["no", "yes"])[(FRAME["age"] > 0).to_numpy().astype(int)]


class Foreign(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    def fit(self, X: Any, y: Any = None) -> "Foreign":
        return self

    def transform(self, X: Any) -> Any:
        return X


def features(encoder: Any = None) -> Any:
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (encoder or OneHotEncoder(), ["town"]),
        sparse_threshold=0,
    )


def saved(path: Path, model: Any) -> Path:
    skops.io.dump(model, path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.skops"


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(features(), LogisticRegression()),
        make_pipeline(features(OrdinalEncoder()), RandomForestClassifier(3)),
        make_pipeline(features(TargetEncoder(cv=2)), HistGradientBoostingClassifier(max_iter=3)),
        make_pipeline(features(), FixedThresholdClassifier(LogisticRegression(), threshold=0.3)),
        make_pipeline(features(), TunedThresholdClassifierCV(LogisticRegression(), cv=2)),
        make_pipeline(features(), GradientBoostingClassifier(n_estimators=3)),
        make_pipeline(features(), CalibratedClassifierCV(RandomForestClassifier(3), cv=2, method="isotonic")),
        make_pipeline(features(), CalibratedClassifierCV(SVC(), cv=2)),
        make_pipeline(features(), KNeighborsClassifier(algorithm="kd_tree")),
        make_pipeline(features(), KNeighborsClassifier(algorithm="ball_tree", metric="canberra")),
        make_pipeline(features(), SVC(probability=False)),
        make_pipeline(features(), SGDClassifier(loss="modified_huber")),
        make_pipeline(features(), MLPClassifier(max_iter=5, early_stopping=False)),
        make_pipeline(features(), GaussianProcessClassifier(ConstantKernel() * RBF())),
        make_pipeline(features(), SelectKBest(f_classif, k=2), LogisticRegression()),
        make_pipeline(features(), FunctionTransformer(np.nan_to_num), SplineTransformer(), LogisticRegression()),
        make_pipeline(features(), FunctionTransformer(np.sign), LogisticRegression()),
        make_pipeline(
            features(), StackingClassifier([("a", RandomForestClassifier(3)), ("b", LogisticRegression())], cv=2)
        ),
        make_pipeline(features(), VotingClassifier([("a", RandomForestClassifier(3)), ("b", LogisticRegression())])),
        make_pipeline(features(), GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, scoring="f1_macro", cv=2)),
    ],
    ids=lambda model: "-".join(name for name, _ in model.steps[1:]),
)
@pytest.mark.filterwarnings("ignore")
def test_usual_classifiers_pass_and_answer_as_before(model: Pipeline, path: Path) -> None:
    model.fit(FRAME, LABELS)
    loaded = skops.io.load(saved(path, model), trusted=check_types(path, package=None))
    assert loaded.predict(FRAME).tolist() == model.predict(FRAME).tolist()


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "poisson", "gamma", "quantile"])
def test_losses_of_histogram_boosting_pass(loss: str, path: Path) -> None:
    model = HistGradientBoostingRegressor(loss=loss, max_iter=3, quantile=0.5 if loss == "quantile" else None).fit(
        FRAME[["age"]], np.arange(1.0, 61)
    )
    skops.io.load(saved(path, model), trusted=check_types(path, package=None))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_losses_of_gradient_boosting_pass(loss: str, path: Path) -> None:
    model = GradientBoostingRegressor(loss=loss, n_estimators=3).fit(FRAME[["age"]], np.arange(1.0, 61))
    skops.io.load(saved(path, model), trusted=check_types(path, package=None))


def test_categories_of_histogram_boosting_pass(path: Path) -> None:
    frame = FRAME.astype({"town": "category"})
    model = HistGradientBoostingClassifier(max_iter=3, categorical_features="from_dtype").fit(frame, LABELS)
    skops.io.load(saved(path, model), trusted=check_types(path, package=None))


def test_only_what_the_file_needs_is_trusted(path: Path) -> None:
    model = make_pipeline(features(), RandomForestClassifier(3)).fit(FRAME, LABELS)
    assert check_types(saved(path, model), package=None) == [
        "numpy.dtype",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.tree._tree.Tree",
    ]


def test_a_foreign_type_is_named_with_the_setting(path: Path) -> None:
    saved(path, make_pipeline(Foreign(), Ridge()))
    with pytest.raises(
        UntrustedModel,
        match=r"holds the type tests\.model\.test_trust\.Foreign, .* trusted_types in \[tool\.mlp\] of pyproject\.toml",
    ):
        check_types(path, package=None)


def test_the_projects_setting_trusts_a_type(path: Path) -> None:
    saved(path, make_pipeline(Foreign(), Ridge()))
    trusted = check_types(path, package=None, trusted_types=("tests.model.test_trust.Foreign",))
    assert isinstance(skops.io.load(path, trusted=trusted)[0], Foreign)


@pytest.mark.parametrize("function", [os.system, eval, skops.io.load, np.load, np.save], ids=lambda f: f.__name__)
def test_a_function_that_does_things_is_refused(function: Callable[..., Any], path: Path) -> None:
    saved(path, make_pipeline(FunctionTransformer(function), Ridge()))
    with pytest.raises(UntrustedModel, match="not on a list of trusted types"):
        check_types(path, package=None)


# ---- the project's own package


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `ownmodel` on the import path, whose `features` leaves a marker when it is imported."""
    folder = tmp_path / "src" / "ownmodel"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("", encoding="utf-8")
    (folder / "features.py").write_text(
        "from os import system\n"
        "from pathlib import Path\n"
        "from sklearn.base import BaseEstimator, TransformerMixin\n"
        f"Path({str(tmp_path / 'imported')!r}).touch()\n"
        "class Scale(TransformerMixin, BaseEstimator):\n"
        "    def __init__(self, mode=None): self.mode = mode\n"
        "    def fit(self, X, y=None): return self\n"
        "    def transform(self, X): return X\n"
        "class Run:\n"
        f"    def __init__(self, *args): Path({str(tmp_path / 'ran')!r}).touch()\n"
        "def double(X): return X * 2\n"
        "rebound = double\n"
        "def rebound(X): return X\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "ownmodel"]:
        del sys.modules[name]


def own_model(path: Path) -> Path:
    import ownmodel.features as own_features  # type: ignore[import-not-found]

    model = make_pipeline(own_features.Scale(own_features.Run()), FunctionTransformer(own_features.double), Ridge())
    return saved(path, model)


def forget(own: Path) -> None:
    for marker in ("imported", "ran"):
        (own.parent.parent / marker).unlink()
    for name in [name for name in sys.modules if name.split(".")[0] == "ownmodel"]:
        del sys.modules[name]


def test_classes_and_functions_of_the_own_package_pass(own: Path, path: Path) -> None:
    trusted = check_types(own_model(path), package="ownmodel")
    assert trusted == ["ownmodel.features.Run", "ownmodel.features.Scale", "ownmodel.features.double"]
    assert type(skops.io.load(path, trusted=trusted)[0]).__name__ == "Scale"


def test_the_own_package_is_not_imported_by_the_check(own: Path, path: Path) -> None:
    own_model(path)
    forget(own)
    check_types(path, package="ownmodel")
    assert not (own.parent.parent / "imported").exists()


def test_without_a_package_its_types_are_foreign(own: Path, path: Path) -> None:
    own_model(path)
    with pytest.raises(UntrustedModel, match=r"ownmodel\.features"):
        check_types(path, package=None)


@pytest.mark.parametrize("name", ["system", "Path", "rebound", "missing"])
def test_a_name_that_the_own_package_only_imports_or_rebinds_is_refused(name: str, own: Path, path: Path) -> None:
    rename(own_model(path), "double", name)
    with pytest.raises(
        UntrustedModel, match=rf"ownmodel\.features\.{name}, .*no module of the package ownmodel defines it"
    ):
        check_types(path, package="ownmodel")


def test_a_package_whose_name_only_begins_alike_is_foreign(own: Path, path: Path) -> None:
    own_model(path)
    with pytest.raises(UntrustedModel, match="not on a list"):
        check_types(path, package="own")


@pytest.mark.parametrize(
    ("package", "function", "reason"),
    [
        ("os", os.path.join, "also the name of a module of Python"),
        ("json", json.loads, "also the name of a module of Python"),
        ("skops", skops.io.load, "also the name of a package of the installed skops"),
        ("platform_lib", check_types, "also the name of a module of this platform"),
    ],
    ids=["os", "json", "skops", "platform_lib"],
)
def test_an_own_package_with_the_name_of_another_lends_it_no_trust(
    package: str, function: Callable[..., Any], reason: str, path: Path
) -> None:
    saved(path, make_pipeline(FunctionTransformer(function), Ridge()))
    rename(path, "posixpath", "os.path")
    with pytest.raises(UntrustedModel, match=reason):
        check_types(path, package=package)


# ---- crafted files


def edit(path: Path, change: Callable[[dict[str, Any]], None], extra: dict[str, bytes] | None = None) -> Path:
    """Rewrite the schema inside a model file."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(content["schema.json"])
    change(schema)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**content, "schema.json": json.dumps(schema).encode(), **(extra or {})}.items():
            archive.writestr(name, data)
    return path


def rename(path: Path, old: str, new: str) -> Path:
    """Give nodes of one class or module another."""

    def change(schema: dict[str, Any]) -> None:
        for node in nodes(schema):
            node["__class__"] = new if node["__class__"] == old else node["__class__"]
            node["__module__"] = new if node["__module__"] == old else node["__module__"]

    return edit(path, change)


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "__loader__" in value:
            yield value
        for each in value.values():
            yield from nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from nodes(each)


def text(value: str) -> dict[str, Any]:
    return {
        "__class__": "str",
        "__module__": "builtins",
        "__loader__": "JsonNode",
        "content": json.dumps(value),
        "is_json": True,
    }


def node(loader: str, full_name: str, **more: Any) -> dict[str, Any]:
    module, name = full_name.rsplit(".", 1)
    return {"__class__": name, "__module__": module, "__loader__": loader, **more}


def a_list(*items: Any, **more: Any) -> dict[str, Any]:
    return node("ListNode", "builtins.list", content=list(items), **more)


@pytest.fixture
def honest(own: Path, path: Path) -> Path:
    """A model with types of the own package, before somebody edits it."""
    return own_model(path)


def plant(path: Path, planted: dict[str, Any]) -> Path:
    """Put a node where the pipeline's `verbose` stands."""
    return edit(path, lambda schema: schema["content"]["content"].__setitem__("verbose", planted))


CALLS: dict[str, dict[str, Any]] = {
    "own class called with a list": node("ListNode", "ownmodel.features.Run", content=[text("x")]),
    "own class called with a set": node("SetNode", "ownmodel.features.Run", content=[text("x")]),
    "own class called with arguments": node(
        "ConstructorFromReduceNode",
        "ownmodel.features.Run",
        content=node("TupleNode", "builtins.tuple", content=[text("x")]),
    ),
    "own class as a loss": node(
        "LossNode",
        "ownmodel.features.Run",
        __reduce__={"args": node("TupleNode", "builtins.tuple", content=[])},
        content=node("DictNode", "builtins.dict", content={}, key_types=a_list()),
    ),
    "own class called with a key": node(
        "DictNode",
        "builtins.dict",
        content={"x": text("y")},
        key_types=a_list(node("TypeNode", "ownmodel.features.Run")),
    ),
    "own function called with a key": node(
        "DictNode",
        "builtins.dict",
        content={"x": text("y")},
        key_types=a_list(node("FunctionNode", "ownmodel.features.double")),
    ),
    "own class around an array": node(
        "NdArrayNode",
        "ownmodel.features.Run",
        type="json",
        content=[],
        shape=node("TupleNode", "builtins.tuple", content=[]),
    ),
    "library function as a list": node("ListNode", "sklearn.utils.validation.check_array", content=[text("x")]),
    "bound method": node("MethodNode", "builtins.list", content={"func": "append", "obj": a_list()}),
    "operator": node(
        "OperatorFuncNode", "operator.methodcaller", attrs=node("TupleNode", "builtins.tuple", content=[text("x")])
    ),
    "foreign loader": node("NewNode", "builtins.list", content=[]),
    "os.system as a type": node("TypeNode", "os.system"),
    "eval as an object": node("ObjectNode", "builtins.eval"),
    "nameless": node("ListNode", "builtins.list", content=[]) | {"__class__": None},
}


@pytest.mark.parametrize("planted", CALLS.values(), ids=CALLS)
def test_a_planted_node_that_could_run_code_is_refused_and_did_not_run(
    planted: dict[str, Any], honest: Path, own: Path
) -> None:
    plant(honest, planted)
    forget(own)
    with pytest.raises(UntrustedModel):
        check_types(honest, package="ownmodel")
    assert not (own.parent.parent / "ran").exists()
    assert not (own.parent.parent / "imported").exists()


@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith("own class") and "key" not in name])
def test_a_class_that_is_trusted_as_an_object_is_not_trusted_to_be_called(name: str, honest: Path) -> None:
    assert "ownmodel.features.Run" in check_types(honest, package="ownmodel")
    plant(honest, CALLS[name])
    with pytest.raises(
        UntrustedModel, match=r"holds ownmodel\.features\.Run as a \w+Node, where a genuine file never has it"
    ):
        check_types(honest, package="ownmodel")


@pytest.mark.parametrize(
    ("name", "trusted"), [("bound method", "builtins.list.append"), ("operator", "operator.methodcaller")]
)
def test_what_can_run_code_by_its_kind_is_refused_even_if_its_name_is_trusted(
    name: str, trusted: str, honest: Path
) -> None:
    plant(honest, CALLS[name])
    with pytest.raises(UntrustedModel, match="which can run code"):
        check_types(honest, package="ownmodel", trusted_types=(trusted,))


def test_the_planted_calls_would_run_if_names_alone_decided(honest: Path, own: Path) -> None:
    """Why places are checked: skops trusts `Run` wherever it stands."""
    plant(honest, CALLS["own class called with a key"])
    everything = skops.io.get_untrusted_types(file=honest)
    (own.parent.parent / "ran").unlink()
    skops.io.load(honest, trusted=everything)
    assert (own.parent.parent / "ran").exists()


def test_a_list_of_key_types_that_stands_for_another_is_refused(honest: Path) -> None:
    """skops answers a known identity with the node that had it first: the harmless list here is a decoy."""
    real = a_list(node("TypeNode", "ownmodel.features.Run"), __id__=77)
    decoy = a_list(node("TypeNode", "builtins.str"), __id__=77)
    plant(honest, a_list(real, node("DictNode", "builtins.dict", content={"x": text("y")}, key_types=decoy)))
    with pytest.raises(UntrustedModel, match="a list of key types is used twice"):
        check_types(honest, package="ownmodel")


def test_one_identity_for_two_different_nodes_is_refused(honest: Path) -> None:
    plant(honest, a_list(node("TypeNode", "builtins.str", __id__=78), node("TypeNode", "builtins.int", __id__=78)))
    with pytest.raises(UntrustedModel, match="two different nodes have one identity"):
        check_types(honest, package="ownmodel")


@pytest.mark.parametrize("protocol", [0, 1, True, "2", None, 99])
def test_another_protocol_is_refused(protocol: Any, honest: Path) -> None:
    edit(honest, lambda schema: schema.__setitem__("protocol", protocol))
    with pytest.raises(UntrustedModel, match="not a valid skops model file"):
        check_types(honest, package="ownmodel")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b'"__class__"') + 3] ^= 0xFF
    path.write_bytes(bytes(data))


def without_schema(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.json", "{}")


def with_schema(content: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("schema.json", content)

    return write


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "{}")
        with archive.open("zeros.bin", "w") as entry:
            for _ in range(80):
                entry.write(bytes(2**20))


def many_readers_of_one_file(path: Path) -> None:
    reader = node("BytesNode", "builtins.bytes", file="zeros.bin")
    edit(plant(path, a_list(*[reader] * 80)), lambda _: None, {"zeros.bin": bytes(2**20)})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x80\x04K*."),
        lambda path: path.unlink(),
        cut,
        flip,
        without_schema,
        with_schema("[1]"),
        with_schema("no json"),
        with_schema('{"protocol": 2}'),
        with_schema('{"protocol": 2, "content": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        bomb,
    ],
    ids=["empty", "pickle", "gone", "cut", "flipped", "no-schema", "list", "text", "bare", "deep", "bomb"],
)
def test_a_file_that_is_no_model_is_one_sentence(spoil: Callable[[Path], Any], honest: Path) -> None:
    spoil(honest)
    with pytest.raises(UntrustedModel, match=r"model\.skops is not a valid skops model file"):
        check_types(honest, package="ownmodel")


def test_a_file_that_grows_in_memory_by_being_read_many_times_is_refused(
    honest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform_lib.model.trust.check._SMALL", 2**22)
    monkeypatch.setattr("platform_lib.model.trust.check._MAX_EXPANSION", 2)
    many_readers_of_one_file(honest)
    with pytest.raises(UntrustedModel, match="would unpack to more than"):
        check_types(honest, package="ownmodel")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_estimator_of_scikit_learn_that_skops_can_keep_passes(path: Path) -> None:
    from sklearn.utils import all_estimators

    X, y = (
        FRAME[["age"]].assign(other=np.abs(np.arange(60) - 30.5)).to_numpy(),
        (FRAME["age"] > 0).to_numpy().astype(int),
    )
    refused, passed = [], 0
    for name, estimator_class in all_estimators():
        try:
            model = (
                estimator_class()
                .set_params(**{p: 5 for p in ("n_estimators", "max_iter") if p in estimator_class().get_params()})
                .fit(np.abs(X), y)
            )
            skops.io.dump(model, path)
        except Exception:
            continue  # needs arguments or other data, or is not supported by skops
        try:
            check_types(path, package=None)
            passed += 1
        except UntrustedModel as err:
            refused.append(f"{name}: {err}")
    assert refused == []
    assert passed > 120
