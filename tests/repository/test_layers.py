"""The layers of docs/architecture.md: each module of `platform_lib` imports only lower ones."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

LIBRARY = REPOSITORY / "platform_lib"
PAGE = REPOSITORY / "docs" / "architecture.md"
MOST_FILES = 16
INFRA_MAY_IMPORT = {"errors", "names"}
FAMILIES = {"training", "serving", "local_platform", "operations", "image"}
"""Parts that never import each other, whatever their ranks."""
MAY_IMPORT_INFRA = {"operations", "operations.platform_check", "cli.platform"}


def read_ranks() -> dict[str, int]:
    """Unit → rank, from the table under "Layers": one rank per row, the lowest first."""
    section = PAGE.read_text(encoding="utf-8").split("## Layers\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", section, flags=re.MULTILINE)
    return {unit: int(rank) for rank, units in rows for unit in re.findall(r"`([\w.]+)`", units)}


RANKS = read_ranks()


def unit_of(module: str) -> str:
    """The room of a module below `platform_lib`, or the module itself if it has its own rank.

    Args:
        module: Dotted, such as `serving.http.app`.
    """
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in RANKS:
            return ".".join(parts[:length])
    return module


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(LIBRARY).with_suffix("").parts).removesuffix(".__init__")


def exists(module: str) -> bool:
    path = LIBRARY.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and module name, below `platform_lib`, of each import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; write platform_lib.…"
            found = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if exists(name.partition(".")[2]) else node.module or "" for name in found]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("platform_lib."):
                yield node.lineno, name.partition(".")[2]


def wrong_imports(file: Path, source: str) -> list[str]:
    unit = unit_of(name_of(file))
    found = []
    for line, module in imported(ast.parse(source)):
        other = unit_of(module)
        if unit == other:
            continue
        families = {unit.partition(".")[0], other.partition(".")[0]}
        wrong = RANKS[other] >= RANKS[unit] or (len(families) == 2 and families <= FAMILIES)
        if unit.startswith("infra."):
            wrong = wrong or not (other.startswith("infra.") or other in INFRA_MAY_IMPORT)
        elif other.startswith("infra."):
            wrong = wrong or unit not in MAY_IMPORT_INFRA
        if wrong:
            found.append(f"{file.name}:{line} is in '{unit}' and may not import '{other}'")
    return found


def modules() -> list[Path]:
    """Every module except empty `__init__`s and that of the package itself."""
    files = (file for file in LIBRARY.rglob("*.py") if "in_image" not in file.parts)
    return sorted(
        file for file in files if file != LIBRARY / "__init__.py" and file.read_text(encoding="utf-8").strip()
    )


def test_the_page_ranks_exactly_the_existing_rooms() -> None:
    assert {unit_of(name_of(file)) for file in modules()} == set(RANKS)


@pytest.mark.parametrize("file", modules(), ids=lambda f: f.relative_to(LIBRARY).as_posix())
def test_a_module_imports_only_from_lower_layers(file: Path) -> None:
    assert wrong_imports(file, file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("data/splits.py", "from platform_lib.training.config.schema import SplitConfig"),
        ("serving/http/app.py", "from platform_lib.training import steps"),
        ("serving/protocols/rows.py", "from platform_lib.serving.handler import RequestHandler"),
        ("serving/auth/access.py", "from platform_lib.serving import server"),
        ("names.py", "import platform_lib.settings"),
        ("infra/base/naming.py", "from platform_lib.settings import Project"),
        ("infra/base/naming.py", "from platform_lib.infra.team import team"),
        ("training/run.py", "from platform_lib.infra.base import naming"),
    ],
)
def test_a_wrong_import_is_reported(part: str, source: str) -> None:
    assert len(wrong_imports(LIBRARY / part, source)) == 1


@pytest.mark.parametrize("top", ["platform_lib", "tests", "infra_stack", "benchmarks"])
def test_no_folder_has_too_many_files(top: str) -> None:
    folders = {REPOSITORY / top, *(path for path in (REPOSITORY / top).rglob("*") if path.is_dir())}
    sizes = {folder: len([file for file in folder.glob("*.py") if file.name != "__init__.py"]) for folder in folders}
    assert {
        folder.relative_to(REPOSITORY).as_posix(): size for folder, size in sizes.items() if size > MOST_FILES
    } == {}


def test_no_test_module_imports_another() -> None:
    pattern = re.compile(r"^\s*(?:from|import) tests\.(?:\w+\.)*test_\w+", re.MULTILINE)
    files = sorted((REPOSITORY / "tests").rglob("*.py"))
    assert [file.name for file in files if pattern.search(file.read_text(encoding="utf-8"))] == []
