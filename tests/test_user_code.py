"""The project's own code is imported from its own folder; import errors are one sentence."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_lib.errors import UsageError
from platform_lib.settings import Project
from platform_lib.user_code import import_user_module


@pytest.fixture(autouse=True)
def _import_state() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.split(".")[0] == "tiny_package":
            del sys.modules[name]


def _project(folder: Path, **modules: str) -> Project:
    source = folder / "src" / "tiny_package"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text("", encoding="utf-8")
    for name, text in modules.items():
        (source / f"{name}.py").write_text(text, encoding="utf-8")
    return Project(root=folder, name="tiny", package="tiny_package")


def test_a_module_is_imported_from_the_projects_src(tmp_path: Path) -> None:
    project = _project(tmp_path, pipeline="ANSWER = 41 + 1")

    assert import_user_module(project, "pipeline").ANSWER == 42


def test_a_second_project_with_a_package_of_the_same_name_gets_its_own_code(tmp_path: Path) -> None:
    one = _project(tmp_path / "one", pipeline="from tiny_package.model import WHO", model="WHO = 'one'")
    two = _project(tmp_path / "two", pipeline="from tiny_package.model import WHO", model="WHO = 'two'")

    assert [import_user_module(project, "pipeline").WHO for project in (one, two, one)] == ["one", "two", "one"]


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        pytest.param({}, "tiny_package.pipeline does not exist", id="missing module"),
        pytest.param(
            {"pipeline": "import no_such_thing"}, "there is no module 'no_such_thing'", id="missing dependency"
        ),
        pytest.param({"pipeline": "x = ("}, "SyntaxError", id="syntax error"),
        pytest.param({"pipeline": "1 / 0"}, "ZeroDivisionError: division by zero", id="fails on import"),
    ],
)
def test_an_import_error_is_reported_in_one_sentence(tmp_path: Path, modules: dict[str, str], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        import_user_module(_project(tmp_path, **modules), "pipeline")


def test_a_missing_package_names_the_missing_file(tmp_path: Path) -> None:
    project = Project(root=tmp_path, name="tiny", package="tiny_package")

    with pytest.raises(UsageError, match=r"pipeline\.py is missing"):
        import_user_module(project, "pipeline")
