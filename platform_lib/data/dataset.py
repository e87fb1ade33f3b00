"""Find and read a project's tables. `quality` checks them against the contract, `frame` applies the types, `dvc`
versions them."""

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
    """Read a CSV or Parquet file without converting it to the contract's types, which is what `frame` does.

    Args:
        path: Of the file.
        contract: Decides what a cell such as `1,5` is, where there is one; see `data.files.cleaning`.
    Returns:
        Shape (rows, columns of the file). Values of CSV are texts, missing where a cell is empty or a marker such as
        NA.
    Raises:
        UsageError: There is no such file, or it is not a table.
    """
    from platform_lib.data.files.reading import read_raw

    table: pd.DataFrame = read_raw(path, None if contract is None else contract.readings).table.to_pandas()
    return table


def load_dataset(project: Project, contract: DataContract) -> "pd.DataFrame":
    """Read the table of a contract, check it against the contract, and convert it to the contract's types.

    Returns:
        Shape (rows, columns of the contract), in the contract's order, dtypes as in `data.frame`.
    Raises:
        NotFound: The file does not exist; says how to fetch it.
        CheckFailed: The table breaks the contract; names columns, counts and examples.
    """
    from platform_lib.data.quality import check_table

    return check_table(read_table(dataset_path(project, contract), contract), contract)


def load_table(name: str | None = None, project: Project | None = None) -> "pd.DataFrame":
    """Read a table of the project, checked and typed by its contract. The starting point of a notebook.

    Args:
        name: Of a contract in conf/data; None is the one that conf/train.yaml selects.
        project: None is the project that contains the working directory.
    Returns:
        Shape (rows, columns of the contract).
    """
    project = project or find_project()
    return load_dataset(project, find_contract(project, name))


def find_contract(project: Project, name: str | None = None) -> DataContract:
    """The contract `conf/data/<name>.yaml`; None is the selected one.

    Raises:
        NotFound: No contract has that name, or none is selected; lists those that exist.
    """
    name = name or selected_name(project)
    if name is None:
        raise NotFound(NOTHING_SELECTED)
    path = contract_path(project, name)
    if not path.is_file():
        known = ", ".join(dataset_names(project)) or "none"
        raise NotFound(
            f"there is no data contract {name!r}: conf/data has {known}. Import it with `mlp data import FILE --target "
            f"COLUMN --name {name}`."
        )
    return read_contract(path)


def contract_path(project: Project, name: str) -> Path:
    """The path of a table's contract, whether it exists or not."""
    return project.conf_dir / "data" / f"{name}.yaml"


def dataset_names(project: Project) -> list[str]:
    """Names of the contracts in conf/data."""
    return sorted(path.stem for path in (project.conf_dir / "data").glob("*.yaml") if not path.name.startswith("."))


def selected_name(project: Project) -> str | None:
    """The table that conf/train.yaml selects with `- data: NAME`; None if it is `???` or absent.

    Raises:
        UsageError: conf/train.yaml is missing or not YAML.
    """
    path = project.conf_dir / "train.yaml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as err:
        raise UsageError(f"cannot read {path}: {err}. Fix it, or restore it with `git checkout -- {path}`.") from err
    defaults = values.get("defaults") if isinstance(values, dict) else None
    for entry in defaults if isinstance(defaults, list) else []:
        if isinstance(entry, dict) and "data" in entry:
            name = entry["data"]
            return None if name in (None, "???") else str(name)
    return None


def dataset_path(project: Project, contract: DataContract) -> Path:
    """The path of a contract's table.

    Raises:
        NotFound: The file does not exist; says how to fetch it.
        UsageError: The contract's path is a URL, or an import of the table was interrupted.
    """
    if "://" in contract.path:
        raise UsageError(
            f"the contract {contract.name!r} has path {contract.path!r}, expected a file of this project. Import it "
            "with `mlp data import`."
        )
    if _is_half_imported(project, contract):
        raise UsageError(
            f"the import of {contract.name!r} was interrupted or is still running; `mlp data check` finishes it."
        )
    path = project.root / contract.path
    if not path.is_file():
        tracked = path.with_name(f"{path.name}.dvc").is_file()
        remedy = (
            "fetch it with `mlp data pull`"
            if tracked
            else "put the file there, or import a table with `mlp data import FILE --target COLUMN`"
        )
        raise NotFound(f"the table {contract.name!r} is not there: {contract.path} is missing; {remedy}.")
    return path


def _is_half_imported(project: Project, contract: DataContract) -> bool:
    try:
        journal = json.loads((project.state_dir / "import" / "journal.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(journal.get("name") == contract.name)
