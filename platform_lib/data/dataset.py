"""Find a project's tables and read them. The contract is judged by `quality`, types are applied by `frame`, DVC is `versioning`'s."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from platform_lib.data.contract import DataContract, read_contract
from platform_lib.errors import NotFound, UsageError
from platform_lib.settings import Project, find_project

if TYPE_CHECKING:
    import pandas as pd

NOTHING_SELECTED = (
    "no table is selected in conf/train.yaml yet; import one with `mlp data import FILE --target COLUMN`."
)


def read_table(path: Path, contract: DataContract | None = None) -> "pd.DataFrame":
    """Read a CSV or Parquet file without converting it to the contract's types; `frame.feature_frame` and `frame.typed_table` do that.

    Args:
        path: Of the file.
        contract: Decides what a cell such as `1,5` is, where there is one; see `data.files.cleaning`.
    Returns:
        Shape (rows, columns of the file). Values of CSV are texts, missing where a cell is empty or a marker such as NA.
    Raises:
        UsageError: There is no such file, or it is not a table.
    """
    from platform_lib.data.files.reading import read_raw

    table: pd.DataFrame = read_raw(path, None if contract is None else contract.types).table.to_pandas()
    return table


def load_dataset(project: Project, contract: DataContract) -> "pd.DataFrame":
    """Read the table of a contract, judge it by the contract, and type it.

    Returns:
        All columns of the contract in its order, dtypes as in `data.frame`.
    Raises:
        NotFound: The file is not there; says how to fetch it.
        CheckFailed: The table breaks the contract; names columns, counts and examples.
    """
    from platform_lib.data.quality import check_table

    return check_table(read_table(dataset_path(project, contract), contract), contract)


def load_table(name: str | None = None, project: Project | None = None) -> "pd.DataFrame":
    """Read a table of the project, checked and typed by its contract: what a notebook starts with.

    Args:
        name: Name of a contract in conf/data; None is the one that conf/train.yaml selects.
        project: None is the project that the working directory lies in.
    """
    project = project or find_project()
    return load_dataset(project, find_contract(project, name))


def find_contract(project: Project, name: str | None = None) -> DataContract:
    """The contract `conf/data/<name>.yaml`; None is the selected one.

    Raises:
        NotFound: There is none of that name, or none is selected; lists what there is.
    """
    name = name or selected_name(project)
    if name is None:
        raise NotFound(NOTHING_SELECTED)
    path = contract_path(project, name)
    if not path.is_file():
        known = ", ".join(dataset_names(project)) or "none"
        raise NotFound(
            f"there is no data contract {name!r}: conf/data has {known}. Import it with `mlp data import FILE --target COLUMN --name {name}`."
        )
    return read_contract(path)


def contract_path(project: Project, name: str) -> Path:
    """Where the contract of a table lies, whether it is there or not."""
    return project.conf_dir / "data" / f"{name}.yaml"


def dataset_names(project: Project) -> list[str]:
    """Names of the contracts in conf/data."""
    return sorted(path.stem for path in (project.conf_dir / "data").glob("*.yaml") if not path.name.startswith("."))


def selected_name(project: Project) -> str | None:
    """The table that conf/train.yaml selects by `- data: NAME`; None where it is `???` or not there.

    Raises:
        UsageError: conf/train.yaml is missing or not YAML.
    """
    path = project.conf_dir / "train.yaml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as err:
        raise UsageError(f"cannot read {path}: {err}. Mend it, or take it back with `git checkout`.") from err
    defaults = values.get("defaults") if isinstance(values, dict) else None
    for entry in defaults if isinstance(defaults, list) else []:
        if isinstance(entry, dict) and "data" in entry:
            name = entry["data"]
            return None if name in (None, "???") else str(name)
    return None


def dataset_path(project: Project, contract: DataContract) -> Path:
    """The table's file.

    Raises:
        NotFound: It is not there; says how to fetch it.
        UsageError: The contract's path is an address or leaves the project.
    """
    if "://" in contract.path:
        raise UsageError(
            f"the contract {contract.name!r} has path {contract.path!r}, expected a file of this project. Import it with `mlp data import`."
        )
    if _is_half_imported(project, contract):
        raise UsageError(
            f"the import of {contract.name!r} was stopped half-way, or is at work right now; `mlp data check` finishes it."
        )
    path = project.root / contract.path
    if not path.is_file():
        tracked = path.with_name(f"{path.name}.dvc").is_file()
        remedy = (
            "fetch it with `mlp data pull`"
            if tracked
            else "put it there, or import a table with `mlp data import FILE --target COLUMN`"
        )
        raise NotFound(f"the table {contract.name!r} is not there: {contract.path} is missing; {remedy}.")
    return path


def _is_half_imported(project: Project, contract: DataContract) -> bool:
    try:
        journal = json.loads((project.state_dir / "import" / "journal.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(journal.get("name") == contract.name)
