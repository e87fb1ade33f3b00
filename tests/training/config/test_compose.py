"""Compose conf/: groups, overrides, the data contract, and one-sentence errors."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from platform_lib.data.contract import Column, DataContract, dump_contract
from platform_lib.errors import NotFound, UsageError
from platform_lib.settings import Project, find_project
from platform_lib.training.config.compose import compose, read_config


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, generate: Callable[..., Project]) -> Project:
    """One project for all tests that only read it."""
    return generate(tmp_path_factory.mktemp("configuration") / "project")


@pytest.fixture
def own(project: Project, tmp_path: Path) -> Project:
    """A copy to write into."""
    shutil.copytree(project.root, tmp_path / "own", ignore=shutil.ignore_patterns(".git"))
    return find_project(tmp_path / "own")


def _write(project: Project, name: str, text: str) -> None:
    path = project.conf_dir / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_groups_compose_into_typed_values(project: Project) -> None:
    composed = compose(project, ["model=forest", "model.params.n_estimators=7", "seed=3"])
    assert composed.config.model.name == "forest"
    assert composed.config.model.params == {
        "n_estimators": 7,
        "max_depth": None,
        "min_samples_leaf": 1,
        "max_leaf_nodes": 2000,
    }
    assert composed.config.seed == 3
    assert composed.config.data.target == "species"
    assert composed.choices == {
        "data": "sample",
        "features": "standard",
        "gate": "default",
        "model": "forest",
        "search": "default",
        "split": "hash",
    }


def test_equal_configurations_have_equal_resolved_text_that_can_be_read_back(project: Project) -> None:
    composed = compose(project, ["model=forest", "seed=3"])
    assert compose(project, ["seed=3", "model=forest"]).resolved_yaml == composed.resolved_yaml
    assert compose(project, ["model=forest", "seed=4"]).resolved_yaml != composed.resolved_yaml
    assert read_config(composed.resolved_yaml) == composed.config


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("model.params.C=5", ["model", "params", "C"], 5),
        ("+model.params.tol=0.01", ["model", "params", "tol"], 0.01),
        ("++model.params.C=text", ["model", "params", "C"], "text"),
        ("model.class_weight=balanced", ["model", "class_weight"], "balanced"),
        ("model.class_weight={Adelie: 2.0}", ["model", "class_weight"], {"Adelie": 2.0}),
        ("model.threshold=null", ["model", "threshold"], None),
        ("split.salt=other", ["split", "salt"], "other"),
        ("gate.bootstrap_samples=500", ["gate", "bootstrap_samples"], 500),
        ("+gate.thresholds.accuracy=0.9", ["gate", "thresholds", "accuracy"], 0.9),
        ("slices=[island,sex]", ["slices"], ["island", "sex"]),
        ("diagnostics=off", ["diagnostics"], False),
        ("diagnostics=on", ["diagnostics"], True),
        ("diagnostics=false", ["diagnostics"], False),
        ("+features.mine=[1,2]", ["features", "mine"], [1, 2]),
        ("data.path=data/other.csv", ["data", "path"], "data/other.csv"),
        ("data.path='data/my file, 2.csv'", ["data", "path"], "data/my file, 2.csv"),
        ("data.columns.year.nullable=true", ["data", "columns", "year", "nullable"], True),
        ("data.columns.sex.allowed=[female,male,other]", ["data", "columns", "sex", "allowed"], ["female", "male", "other"]),
        ("~data.columns.sex.allowed", ["data", "columns", "sex"], {"type": "string", "nullable": True}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_an_override_sets_its_key(project: Project, override: str, key: list[str], value: Any) -> None:
    found = yaml.safe_load(compose(project, [override]).resolved_yaml)
    for name in key:
        found = found[name]
    assert found == value


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["modle=forest"], "no key 'modle': the keys are data, features, model, split, gate, search, slices, diagnostics, seed. Did you mean 'model'?"),
        (["seeed=1"], "Did you mean 'seed'?"),
        (["gate.detla=1"], "gate has metric, thresholds, delta, standard_errors, bootstrap_samples. Did you mean 'delta'?"),
        (["model.params.D=1"], "model.params has C, max_iter. A new one is added with a plus: +model.params.D=1"),
        (["data.pth=1"], "data has name, path, task, target, key, columns. Did you mean 'path'?"),
        (["data.columns.bill.type=number"], "the configuration has no key 'data.columns.bill.type': data.columns has island"),
        (["model=forrest"], "there is no model 'forrest': conf/model has boosting, catboost, forest, lightgbm, logistic, xgboost. Did you mean 'forest'?"),
        (["data=other"], "there is no data 'other': conf/data has sample."),
        (["model.params.C=large"], "model.params.C is 'large', expected a number: the configuration has 1.0 there. If you mean it, use"),
        (["seed=one"], "seed is 'one', expected a number"),
        (["seed=1.5"], "seed is a number, expected a whole number."),
        (["slices=island"], "slices is a text, expected a list."),
        (["diagnostics=maybe"], "diagnostics is 'maybe', expected true or false"),
        (["model.params=3"], "model.params is a whole number, expected keys with values."),
        (["++colour=red"], "the configuration has a key 'colour' that is not known; the keys are data, model, gate"),
        (["++split.clumn=sex"], "split has a key 'clumn' that is not known; the keys are method, test_share, column, cutoff, salt. Did you"),
        (["~model"], "no model is chosen: add `- model: CHOICE` to the defaults of conf/train.yaml, or set model=CHOICE."),
        (["forest"], "'forest' is not a setting: expected KEY=VALUE, such as model=forest"),
        (["seed=[1"], "'seed=[1' is not a setting"),
        (["model=forest,logistic"], "gives several values, expected one; `mlp compare model=forest,logistic` compares them on the same rows."),
        (["seed=1,2"], "a comma list is for the choices of a group, in `mlp compare` and `mlp sweep`. If you mean a list, write seed=[1,2]."),
        (["split=group"], "split.column has no value: set it in conf/split, or for one run with split.column=VALUE; the columns are island"),
        (["split=group", "split.column=islnd"], "split.column names the column 'islnd', but the columns are island"),
        (["split=time"], "split.cutoff has no value"),
        (["split.test_share=2"], "split.test_share is 2.0, expected a share between 0 and 1 such as 0.2."),
        (["gate.metric=acuracy"], "gate.metric: 'acuracy' is not a metric; expected one of accuracy, balanced_accuracy"),
        (["gate.metric=mae"], "gate.metric: 'mae' is a metric of regression"),
        (["+gate.thresholds.mae=1"], "gate.thresholds.mae: 'mae' is a metric of regression"),
        (["gate.thresholds={mae: 1}"], "gate.thresholds.mae: 'mae' is a metric of regression"),
        (["gate.thresholds={acuracy: 1}"], "gate.thresholds.acuracy: 'acuracy' is not a metric; expected one of accuracy"),
        (["model.params={tol: 1}"], "the configuration has no key 'model.params.tol': model.params has C, max_iter. New ones are added with pluses: ++model.params={tol: 1}"),
        (["gate.delta=-0.1"], "gate.delta is -0.1, expected a finite number of 0 or more."),
        (["gate.bootstrap_samples=5"], "gate.bootstrap_samples is 5, expected 100 to 100000"),
        (["slices=[islnd]"], "slices names the column 'islnd', but the features are island"),
        (["slices=[species]"], "slices names the column 'species', but the features are island"),
        (["model.threshold=1.5"], "model.threshold is 1.5, expected a probability between 0 and 1"),
        (["model.class_weight=heavy"], "model.class_weight is 'heavy', expected null, balanced, or one weight per class."),
        (["model.class_weight={Adelle: 2}"], "has an entry for 'Adelle', but the labels of 'species' are 'Adelie', 'Chinstrap', 'Gentoo'."),
        (["data.target=wings"], "target names the column 'wings', but the columns are island"),
        (["data.columns.sex.nullable=maybe"], "conf/data/sample.yaml is not a data contract"),
        (["search.folds=1"], "search.folds is 1, expected 2 or more."),
        (["search.space.logistic.C.low=-1"], "search.space.logistic.C is searched on a log scale from -1, expected low above 0."),
        (["search.space.forest.n_estimators.low=900"], "n_estimators goes from 900 to 400, expected two finite numbers, the lower one first."),
        (["+search.space.logistic.C.hgh=1"], "has a key 'hgh' that is not known; the keys are type, low, high, log, choices. Did you mean 'high'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_an_invalid_override_is_refused_in_one_sentence_that_lists_the_valid_ones(
    project: Project, overrides: list[str], says: str
) -> None:
    with pytest.raises(UsageError) as caught:
        compose(project, overrides)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hydra_keeps_no_state_after_an_error(project: Project) -> None:
    from hydra.core.global_hydra import GlobalHydra

    with pytest.raises(UsageError):
        compose(project, ["modle=forest"])
    assert not GlobalHydra.instance().is_initialized()
    assert compose(project).config.model.name == "logistic"


def test_no_table_selected_says_how_to_import_one(tmp_path: Path, generate: Callable[..., Project]) -> None:
    project = generate(tmp_path / "project", data_source="own")
    with pytest.raises(
        NotFound,
        match=r"no table is selected in conf/train\.yaml yet; import one with `mlp data import FILE --target COLUMN`",
    ):
        compose(project)


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("model/logistic.yaml", "name: [logistic\n", "conf/model/logistic.yaml, line 2 is not valid YAML"),
        ("model/logistic.yaml", "name: a\nname: b\n", "conf/model/logistic.yaml, line 2 is not valid YAML: found duplicate key name"),
        ("data/sample.yaml", "name: {\n", "conf/data/sample.yaml, line 2 is not valid YAML"),
        ("data/sample.yaml", "- 1\n", "conf/data/sample.yaml is not a data contract but list"),
        ("data/sample.yaml", "name: t\n", "conf/data/sample.yaml is not a data contract"),
        ("train.yaml", "defaults: [data: sample, modle: logistic]\n", "asks for 'modle/logistic', which does not exist; the groups in conf"),
        ("train.yaml", "defaults:\n  - data: sample\n  - model: linear\n", "there is no model 'linear': conf/model has boosting, catboost, forest, lightgbm, logistic, xgboost."),
        ("train.yaml", "defaults:\n  - data: sample\n  - gate: default\n", "no model is chosen"),
        ("gate/default.yaml", "metric: ${data.goal}\n", "gate.metric cannot be resolved"),
        ("gate/default.yaml", "metric: accuracy\nthresholds:\n  accuracy: high\n", "gate.thresholds[...] is a text, expected a number."),
    ],
    ids=["yaml", "twice", "contract-yaml", "contract-list", "contract-incomplete", "no-group", "no-choice", "no-model", "reference", "type"],
)  # fmt: skip
def test_a_broken_file_is_named_in_the_error(own: Project, file: str, text: str, says: str) -> None:
    _write(own, file, text)
    with pytest.raises(UsageError) as caught:
        compose(own)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_main_file_says_how_to_restore_it(own: Project) -> None:
    (own.conf_dir / "train.yaml").unlink()
    with pytest.raises(UsageError, match=r"train\.yaml is missing\. Restore it with `git checkout -- conf/train.yaml`"):
        compose(own)


def test_a_group_that_train_yaml_does_not_list_is_added_with_a_plus(own: Project) -> None:
    _write(own, "experiment/quick.yaml", "# @package _global_\nmodel:\n  params:\n    max_iter: 5\n")
    with pytest.raises(
        UsageError,
        match=r"does not list the group 'experiment' among its defaults: add it there, or choose it with \+experiment=CHOICE",
    ):
        compose(own, ["experiment=quick"])
    assert compose(own, ["+experiment=quick"]).config.model.params["max_iter"] == 5


NAMES = [
    "a.b c",
    'quo"te',
    "it's",
    "{brace}",
    "${env}",
    "${a{",
    "???",
    "Größe",
    "年齢",
    "y",
    "no",
    "2020",
    "1e5",
    "a: b",
    "#x",
    " lead",
    "\\back",
    "*",
    "a=b",
    "[0]",
]


def test_awkward_names_and_categories_are_preserved(own: Project) -> None:
    contract = DataContract(
        name="odd",
        path="data/odd ${x}.csv",
        task="classification",
        target="${a{",
        columns={name: Column(type="string", allowed=[*NAMES]) for name in NAMES},
    )
    _write(own, "data/odd.yaml", dump_contract(contract))
    composed = compose(own, ["data=odd"])
    assert composed.config.data == contract
    assert read_config(composed.resolved_yaml).data == contract


def test_other_files_can_refer_to_the_contract(own: Project) -> None:
    _write(own, "features/standard.yaml", "leave_out: ${data.target}\n")
    assert compose(own, ["data.target=sex"]).config.features == {"leave_out": "sex"}


def test_numeric_labels_can_have_class_weights(own: Project) -> None:
    contract = DataContract(
        name="coded",
        path="c.csv",
        task="classification",
        target="y",
        columns={"x": Column(type="number"), "y": Column(type="integer", allowed=[0, 1])},
    )
    _write(own, "data/coded.yaml", dump_contract(contract))
    config = compose(own, ["data=coded", "model.class_weight={0: 1, 1: 5}"])
    assert config.config.model.class_weight == {0: 1.0, 1: 5.0}
    assert read_config(config.resolved_yaml) == config.config


@pytest.mark.parametrize(
    ("labels", "written", "read"),
    [
        (["no", "yes"], "{yes: 3, no: 1}", {"yes": 3.0, "no": 1.0}),
        (["No", "Yes"], "{Yes: 3, No: 1}", {"Yes": 3.0, "No": 1.0}),
        (["off", "on"], "{on: 3, off: 1}", {"on": 3.0, "off": 1.0}),
        (["01", "02"], "{01: 3, 02: 1}", {"01": 3.0, "02": 1.0}),
        (["1", "01"], "{'1': 3, '01': 1}", {"1": 3.0, "01": 1.0}),
        (["1e3", "2e3"], "{1e3: 3, 2e3: 1}", {"1e3": 3.0, "2e3": 1.0}),
        (["12:30", "13:30"], "{12:30: 3, 13:30: 1}", {"12:30": 3.0, "13:30": 1.0}),
        (["2026-01-31", "2026-02-28"], "{2026-01-31: 3, 2026-02-28: 1}", {"2026-01-31": 3.0, "2026-02-28": 1.0}),
        (None, "{true: 3, 'false': 1}", {True: 3.0, False: 1.0}),
    ],
)
def test_weights_are_found_by_label_whatever_yaml_makes_of_it(
    own: Project, labels: list[Any] | None, written: str, read: dict[Any, float]
) -> None:
    _binary(own, labels)
    path = own.conf_dir / "model" / "logistic.yaml"
    text = path.read_text(encoding="utf-8").replace("class_weight: null", f"class_weight: {written}")
    path.write_text(text, encoding="utf-8")

    config = compose(own, ["data=binary"])

    found = config.config.model.class_weight
    assert found == read
    assert [type(label) for label in found or ()] == [type(label) for label in read]
    assert read_config(config.resolved_yaml) == config.config
    in_hydra = compose(own, ["data=binary", "model.class_weight=null"]).config.model.class_weight
    assert in_hydra is None


@pytest.mark.parametrize(
    ("labels", "written", "says"),
    [
        (["on", "yes"], "{yes: 3}", "has an entry for True, as which YAML reads 'on', 'yes': put quotes around"),
        (["1", "01"], "{01: 3}", "has an entry for 1, as which YAML reads '1', '01': put quotes around"),
        (["1", "2"], "{1: 3, '1': 2}", "has two entries for '1'"),
        (["a", "b"], "{yes: 3}", "has an entry for True, but the labels of 'y' are 'a', 'b'"),
    ],
)
def test_a_weight_whose_label_is_open_is_refused(own: Project, labels: list[Any], written: str, says: str) -> None:
    _binary(own, labels)
    path = own.conf_dir / "model" / "logistic.yaml"
    text = path.read_text(encoding="utf-8").replace("class_weight: null", f"class_weight: {written}")
    path.write_text(text, encoding="utf-8")

    with pytest.raises(UsageError, match=says):
        compose(own, ["data=binary"])


def test_a_category_that_yaml_does_not_read_as_a_text_is_refused(own: Project) -> None:
    _binary(own, ["no", "yes"])
    path = own.conf_dir / "data" / "binary.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("'", ""), encoding="utf-8")

    with pytest.raises(UsageError, match=r"columns.y.allowed has false, .* reads as bool, .* put quotes"):
        compose(own, ["data=binary"])


def _binary(project: Project, labels: list[Any] | None) -> None:
    target = Column(type="boolean") if labels is None else Column(type="string", allowed=labels)
    columns = {"x": Column(type="number"), "y": target}
    contract = DataContract(name="binary", path="b.csv", task="classification", target="y", columns=columns)
    _write(project, "data/binary.yaml", dump_contract(contract))


@pytest.mark.parametrize("given", [{"accuracy": 0.9}, {"accuracy": 0.9, "balanced_accuracy": 0.7}, {}])
def test_thresholds_on_the_command_line_take_the_place_of_those_of_the_file(
    project: Project, given: dict[str, float]
) -> None:
    text = ", ".join(f"{name}: {value}" for name, value in given.items())

    assert compose(project, [f"gate.thresholds={{{text}}}"]).config.gate.thresholds == given


def test_a_regression_refuses_classification_settings(tmp_path: Path, generate: Callable[..., Project]) -> None:
    project = generate(tmp_path / "project", task="regression")
    with pytest.raises(
        UsageError, match=r"model.threshold is 0.3, but the target 'miles_per_gallon' is a number: set it to null"
    ):
        compose(project, ["model.threshold=0.3"])
    with pytest.raises(
        UsageError, match=r"model.class_weight is balanced, but the target 'miles_per_gallon' is a number"
    ):
        compose(project, ["model.class_weight=balanced"])


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_shipped_config_choice_composes(tmp_path: Path, generate: Callable[..., Project], task: str) -> None:
    project = generate(tmp_path / "project", task=task)
    for model in sorted(path.stem for path in (project.conf_dir / "model").glob("*.yaml")):
        config = compose(project, [f"model={model}"]).config
        assert config.model.name == model
        assert set(config.search.space[model]) <= set(config.model.params)
