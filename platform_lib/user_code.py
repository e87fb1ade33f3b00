"""The user's package in the project's `src/`: import it, even if another package has its name, and find its errors."""

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

import platform_lib
from platform_lib.errors import PlatformError, UsageError
from platform_lib.settings import Project, find_project


def import_user_module(project: Project, module: str) -> ModuleType:
    """Import `<package>.<module>`, where `module` is a name such as `pipeline`.

    Raises:
        UsageError: The module does not exist, or importing it fails.
    """
    make_importable(project)
    full_name = f"{project.package}.{module}"
    try:
        return importlib.import_module(full_name)
    except ModuleNotFoundError as err:
        if err.name in (project.package, full_name):
            file = project.root / "src" / project.package / f"{module}.py"
            raise UsageError(
                f"{full_name} does not exist: {file} is missing. Restore it with `git checkout -- {file}`, or copy it "
                "from the template."
            ) from err
        raise UsageError(
            f"importing {full_name} failed: there is no module {err.name!r}. Add its package to pyproject.toml and run "
            "`make setup`."
        ) from err
    except Exception as err:
        raise UsageError(f"importing {full_name} failed: {type(err).__name__}: {err}") from err


def make_importable(project: Project) -> None:
    """Put the project's `src/` first on the import path and unload a package of its name from elsewhere."""
    source = project.root / "src"
    if str(source) in sys.path:
        sys.path.remove(str(source))
    sys.path.insert(0, str(source))
    loaded = sys.modules.get(project.package)
    if loaded is not None and not _lies_in(loaded, source):
        for name in [n for n in sys.modules if n == project.package or n.startswith(f"{project.package}.")]:
            del sys.modules[name]
        importlib.invalidate_caches()


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve().is_relative_to(folder.resolve())


def user_frame(err: BaseException) -> str | None:
    """Where the user's code raised an error, such as `src/churn/features.py, line 12`; None if the library raised it.

    The user's `pipeline.py` calls the library, which calls the user's functions: the innermost of both counts.
    """
    library = Path(platform_lib.__file__).parent
    for frame in reversed(traceback.extract_tb(err.__traceback__)):
        file = Path(frame.filename)
        if file.is_relative_to(library):
            return None
        for root in file.parents:
            if root.name == "src" and _is_project(root.parent):
                return f"{file.relative_to(root.parent)}, line {frame.lineno},"
    return None


def _is_project(root: Path) -> bool:
    try:
        return find_project(root).root == root.resolve()
    except PlatformError:
        return False
