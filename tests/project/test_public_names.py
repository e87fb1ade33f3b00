"""Project code imports only `platform_lib.project`, as docs/reference.md lists it."""

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from platform_lib import project
from tests.conftest import REPOSITORY

TEMPLATE = REPOSITORY / "template"
# `copier update` keeps these files in step with the library; all others are written once and never updated.
OWNED = {"__main__.py": {"platform_lib.infra.model.stack", "platform_lib.settings"}}
IMPORT = re.compile(r"^\s*(?:from (platform_lib[\w.]*) import (.+)|import (platform_lib[\w.]*))", re.MULTILINE)


def sources() -> dict[str, str]:
    """Path below `template/` → Python code, notebooks included."""
    found = {}
    for file in sorted(path for path in TEMPLATE.rglob("*") if path.is_file()):
        text = file.read_text(encoding="utf-8")
        if ".ipynb" in file.name:
            cells = json.loads(text)["cells"]
            text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        elif ".py" not in file.name or "pyproject" in file.name:
            continue
        found[file.relative_to(TEMPLATE).as_posix()] = text
    return found


def imports(source: str) -> list[tuple[str, list[str]]]:
    """Module and imported names of each import of the library."""
    found = IMPORT.findall(source)
    return [(module or plain, [name.strip(" ()") for name in names.split(",")]) for module, names, plain in found]


def test_the_template_imports_only_public_names() -> None:
    seen = {}
    for path, source in sources().items():
        allowed = OWNED.get(Path(path).name, set()) if "/" in path and "deploy" in path else {"platform_lib.project"}
        for module, names in imports(source):
            assert module in allowed, f"{path} imports {module}: give it a name in platform_lib.project"
            seen[path] = names
            assert module != "platform_lib.project" or set(names) <= set(project.__all__), path
    assert len(seen) >= 8


@pytest.mark.parametrize(
    ("line", "module"),
    [
        ("from platform_lib.training.steps import Steps", "platform_lib.training.steps"),
        ("import platform_lib.settings", "platform_lib.settings"),
        ("    from platform_lib import load_table", "platform_lib"),
    ],
)
def test_an_import_of_an_internal_name_is_detected(line: str, module: str) -> None:
    assert [found for found, _ in imports(f"import os\n{line}\n")] == [module]


def test_every_public_name_exists_at_runtime_and_for_type_checkers() -> None:
    tree = ast.parse(Path(project.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        (alias.name, node.module) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert {name for name, _ in typed} == set(project.__all__) == set(dir(project))
    for name, module in typed:
        assert getattr(project, name) is getattr(importlib.import_module(module or ""), name)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'load_tables'; it has .*load_table"):
        project.load_tables  # noqa: B018  the access is what is tested


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, platform_lib.project; print([m for m in ('pandas', 'sklearn', 'mlflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.strip() == "[]"
