"""What `mlp data check` and `mlp data list` print."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from platform_lib.data.contract import DataContract
    from platform_lib.data.quality import Violation
    from platform_lib.settings import Project


def check_json(contract: "DataContract", raw: "pd.DataFrame", found: "Sequence[Violation]") -> str:
    """Format the result of a check as JSON."""
    violations = [
        {"column": each.column, "rows": each.rows, "problem": each.problem, "examples": list(each.examples)}
        for each in found
    ]
    result = {"table": contract.name, "rows": len(raw), "fits": not found, "violations": violations}
    return json.dumps(result, ensure_ascii=False)


def print_check(contract: "DataContract", raw: "pd.DataFrame", found: "Sequence[Violation]") -> None:
    """Print each column with its limits and what violates them."""
    from platform_lib.cli.console import stdout
    from platform_lib.cli.rendering import show, table
    from platform_lib.data.imports.contract_diff import limits_text, role_of

    console = stdout()
    console.print(f"{contract.name}: {len(raw)} rows")
    shown = table(
        "column", "role", "type", "missing", "limits", "finding", numeric=("missing",), fixed=("role", "type")
    )
    for name, column in contract.columns.items():
        missing = int(raw[name].isna().sum()) if name in raw else 0
        problems = "; ".join(violation.without_column() for violation in found if violation.column == name)
        shown.add_row(name, role_of(contract, name), column.type, str(missing), limits_text(column), problems or "fits")
    show(console, shown)


def list_tables(project: "Project") -> list[dict[str, Any]]:
    """Describe the project's tables: name, target, columns, md5, state, and whether it is selected."""
    from platform_lib.data.contract import read_contract
    from platform_lib.data.dataset import contract_path, dataset_names, selected_name
    from platform_lib.data.dvc import file_md5, tracked_md5

    names = dataset_names(project)
    selected = selected_name(project) if names else None
    found = []
    for name in names:
        contract = read_contract(contract_path(project, name))
        path = project.root / contract.path
        kept, there = tracked_md5(path), file_md5(path) if path.is_file() else None
        if there is None:
            state = "not downloaded; run `mlp data pull`" if kept else "missing"
        elif kept is None:
            state = "not tracked"
        else:
            state = "tracked by DVC" if kept == there else "changed since the import"
        found.append(
            {
                "name": name,
                "selected": name == selected,
                "path": contract.path,
                "target": contract.target,
                "columns": len(contract.columns),
                "md5": there or kept,
                "state": state,
            }
        )
    return found


def print_tables(tables: list[dict[str, Any]]) -> None:
    """Print what `list_tables` found."""
    from platform_lib.cli.console import stdout
    from platform_lib.cli.rendering import show, table

    shown = table("", "name", "target", "columns", "md5", "state", numeric=("columns",), fixed=("md5",))
    for each in tables:
        mark = "*" if each["selected"] else ""
        shown.add_row(
            mark, each["name"], each["target"], str(each["columns"]), str(each["md5"] or "")[:8], each["state"]
        )
    show(stdout(), shown)
