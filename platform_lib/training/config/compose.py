"""Compose a project's `conf/` with Hydra into one typed configuration.

The data contract is read without Hydra, which would resolve a category such as `${x}` or a column named `???`.
`error_messages` explains what does not compose, and `checks` checks the values.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import yaml

from platform_lib.data.contract import parse_contract
from platform_lib.data.dataset import NOTHING_SELECTED
from platform_lib.errors import NotFound, UsageError
from platform_lib.metrics.configured import configure_metrics
from platform_lib.metrics.own import load_own_metrics
from platform_lib.settings import Project
from platform_lib.training.config import error_messages
from platform_lib.training.config.checks import check_config, check_metrics
from platform_lib.training.config.labels import by_label
from platform_lib.training.config.overrides import Setting, check_settings, parse_settings, set_value
from platform_lib.training.config.schema import TrainConfig

ROOT = "train"


class Composed(msgspec.Struct, frozen=True, kw_only=True):
    """The resolved configuration of one run."""

    config: TrainConfig
    resolved_yaml: str
    """The whole configuration as YAML; equal configurations have equal texts."""
    choices: dict[str, str]
    """The choice made in each group, such as `{"model": "forest"}`."""


def compose(project: Project, overrides: Sequence[str] = ()) -> Composed:
    """Compose `conf/train.yaml`, its groups and the overrides.

    Args:
        project: Whose `conf/` to compose.
        overrides: In Hydra's grammar: `model=forest`, `model.params.C=0.1`, `+model.params.tol=0.01`,
            `data.path=data/other.csv`.
    Raises:
        UsageError: A file, key, value, group or choice does not fit; the message lists those that do.
    """
    conf = project.conf_dir
    settings = parse_settings(overrides, conf)
    of_contract = [setting for setting in settings if setting.key.startswith("data.")]
    composed = _hydra(conf, [setting for setting in settings if setting not in of_contract])
    choices = _choices(composed)
    contract = _read_contract(conf, choices)
    for setting in of_contract:
        set_value(contract, setting, prefix="data.")
    _insert_contract(composed, contract)
    values = error_messages.resolve(composed, conf, contract)
    values["data"] = contract
    config = _with_labels(_typed(values, source=f"conf/data/{choices['data']}.yaml"))
    check_metrics(config)
    configure_metrics(costs=config.metrics.costs, quantile=config.metrics.quantile)
    load_own_metrics(project)
    check_config(config)
    return Composed(config=config, resolved_yaml=dump_config(config), choices=choices)


def dump_config(config: TrainConfig) -> str:
    """The configuration as YAML, keys in the order of the types and files; equal configurations have equal texts."""
    return yaml.safe_dump(msgspec.to_builtins(config), sort_keys=False, allow_unicode=True, width=1000)


def read_config(text: str) -> TrainConfig:
    """Read a configuration that `dump_config` wrote, such as an artifact's `config.yaml`.

    Raises:
        UsageError: The text is not a configuration.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as err:
        raise UsageError(f"the stored configuration is not YAML: {' '.join(str(err).split())}.") from err
    return _typed(values if isinstance(values, dict) else {}, source="the stored configuration")


def _hydra(conf: Path, settings: Sequence[Setting]) -> Any:
    """Compose everything except the contract; returns OmegaConf's unresolved result, with Hydra's node of choices."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    with _without_contracts(conf) as folder:

        def run(texts: list[str]) -> Any:
            GlobalHydra.instance().clear()
            try:
                with initialize_config_dir(str(folder), version_base="1.3"):
                    return hydra_compose(ROOT, overrides=texts, return_hydra_config=True)
            finally:
                GlobalHydra.instance().clear()

        with error_messages.translate(conf, folder):
            chosen = [setting.text for setting in settings if setting.is_choice]
            values = [setting for setting in settings if not setting.is_choice]
            composed = run(chosen)
            if not values:
                return composed
            return run(chosen + check_settings(values, composed))


@contextmanager
def _without_contracts(conf: Path) -> Iterator[Path]:
    """A copy of `conf/` in which every data contract is empty."""
    error_messages.check_root(conf, ROOT)
    with tempfile.TemporaryDirectory(prefix="mlp-conf-") as temporary:
        folder = Path(temporary).resolve() / "conf"
        shutil.copytree(
            conf,
            folder,
            ignore=lambda _, names: [name for name in names if name.startswith(".")],
            copy_function=shutil.copyfile,
        )
        for contract in (folder / "data").glob("*.yaml"):
            contract.write_text("{}\n", encoding="utf-8")
        yield folder


def _choices(composed: Any) -> dict[str, str]:
    from omegaconf import OmegaConf

    choices = OmegaConf.to_container(composed.hydra.runtime.choices)
    assert isinstance(choices, dict)
    return {
        str(group): str(choice)
        for group, choice in sorted(choices.items())
        if not str(group).startswith("hydra/") and choice is not None
    }


def _read_contract(conf: Path, choices: dict[str, str]) -> dict[str, Any]:
    if "data" not in choices:
        raise NotFound(NOTHING_SELECTED)
    path = conf / "data" / f"{choices['data']}.yaml"
    values = error_messages.load_yaml(path, conf)
    if not isinstance(values, dict):
        raise UsageError(
            f"conf/data/{path.name} is not a data contract but {type(values).__name__}. Write it again with `mlp data "
            "import`."
        )
    return values


def _insert_contract(composed: Any, contract: dict[str, Any]) -> None:
    """Insert the contract's plain entries, so that other files can refer to them, such as `${data.target}`."""
    from omegaconf import OmegaConf, open_dict

    plain = {name: value for name, value in contract.items() if isinstance(value, str) and value != "???"}
    with open_dict(composed):
        composed.data = OmegaConf.create({name: value.replace("${", "\\${") for name, value in plain.items()})


def _with_labels(config: TrainConfig) -> TrainConfig:
    """The configuration with the target's own labels as the keys of settings that have an entry per label."""
    if config.data.task != "classification":
        return config
    model, metrics = config.model, config.metrics
    if isinstance(model.class_weight, dict):
        weights = by_label(model.class_weight, config.data, "model.class_weight")
        config = msgspec.structs.replace(config, model=msgspec.structs.replace(model, class_weight=weights))
    if metrics.costs is not None:
        costs = {
            true: by_label(given, config.data, f"metrics.costs.{true}")
            for true, given in by_label(metrics.costs, config.data, "metrics.costs").items()
        }
        config = msgspec.structs.replace(config, metrics=msgspec.structs.replace(metrics, costs=costs))
    return config


def _typed(values: dict[str, Any], source: str) -> TrainConfig:
    data = values.get("data")
    parse_contract(data if isinstance(data, dict) else {}, source)
    try:
        return msgspec.convert(values, TrainConfig)
    except msgspec.ValidationError as err:
        raise UsageError(error_messages.not_typed(str(err))) from err
