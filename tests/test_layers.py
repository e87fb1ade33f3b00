"""The layers of docs/architecture.md, read from the syntax trees: who may import whom inside `platform_lib`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[1] / "platform_lib"

# Lower ranks may not import higher ones; parts of one rank in SIBLINGS never import each other.
RANKS = {
    "contract": -1,
    "errors": 0,
    "settings": 1,
    "user_code": 2,
    "data": 3,
    "profile": 4,
    "metrics": 4,
    "trust": 4,
    "artifact": 4,
    "lineage": 5,
    "check_rows": 5,
    "sample_answers": 5,
    "registry": 6,
    "training": 7,
    "serving": 7,
    "monitoring": 7,
    "local_platform": 7,
    "operations": 7,
    "image": 7,
    "cli": 8,
}
SIBLINGS = {"training", "serving", "monitoring", "local_platform", "operations", "image"}
INFRA_MAY_IMPORT = {"infra", "errors", "contract"}


def part_of(file: Path) -> str:
    relative = file.relative_to(LIBRARY)
    return relative.parts[0].removesuffix(".py")


def imported_parts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; write platform_lib.…"
            names = [node.module or ""] if (node.module or "") != "platform_lib" else [f"platform_lib.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("platform_lib."):
                yield node.lineno, name.split(".")[1]


def wrong_imports(file: Path, source: str) -> list[str]:
    part = part_of(file)
    if part == "__init__":
        return []
    found = []
    for line, other in imported_parts(ast.parse(source)):
        if part == "infra":
            wrong = other not in INFRA_MAY_IMPORT
        elif other == "infra":
            wrong = part not in ("cli", "operations")
        elif part == other:
            wrong = False
        else:
            wrong = RANKS[other] > RANKS[part] or {part, other} <= SIBLINGS
        if wrong:
            found.append(f"{file.name}:{line} is in '{part}' and may not import '{other}'")
    return found


def test_every_part_of_the_library_has_a_rank() -> None:
    parts = {part_of(file) for file in LIBRARY.rglob("*.py")} - {"__init__", "infra"}
    assert parts <= set(RANKS)


@pytest.mark.parametrize("file", sorted(LIBRARY.rglob("*.py")), ids=lambda f: f.relative_to(LIBRARY).as_posix())
def test_a_module_imports_only_from_lower_layers(file: Path) -> None:
    assert wrong_imports(file, file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("data/splits.py", "from platform_lib.training.config import SplitConfig"),
        ("serving/app.py", "from platform_lib.training import steps"),
        ("contract.py", "import platform_lib.settings"),
        ("infra/naming.py", "from platform_lib.settings import Project"),
        ("training/run.py", "from platform_lib.infra import naming"),
    ],
)
def test_a_wrong_import_is_named(part: str, source: str) -> None:
    assert len(wrong_imports(LIBRARY / part, source)) == 1
