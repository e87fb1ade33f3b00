"""Find the classes and functions that the project's package defines, from its source files without importing them."""

import ast
import importlib.metadata
import importlib.util
import inspect
import json
import sys
from functools import cache
from pathlib import Path

# For a class in these nodes, skops calls nothing with values chosen by the file: it creates the object without its
# constructor, empty, or as a named tuple, or only refers to it.
_PLACES_OF_A_CLASS = frozenset({"ObjectNode", "DictNode", "TupleNode", "TypeNode"})


class OwnPackage:
    """The package of one project."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._folders = _folders(name)
        self._foreign = _foreign(name, self._folders)

    def defines(self, module: str, name: str, loader: str) -> bool:
        """Whether a module of the package defines a class or function of that name, which may occur in `loader`.

        A name that the module only imports, such as `system` after `from os import system`, does not count.
        """
        if self._foreign or (module != self.name and not module.startswith(f"{self.name}.")):
            return False
        return loader in _places(self._folders, tuple(module.split(".")[1:])).get(name, frozenset())

    def refusal(self, full_name: str) -> str | None:
        """Why a type of this package is not trusted; None for a type of another package."""
        if not full_name.startswith(f"{self.name}."):
            return None
        if self._foreign:
            return self._foreign
        if not self._folders:
            return f"the package {self.name} cannot be found here"
        return f"no module of the package {self.name} defines it as its own class or function"


def _folders(name: str) -> tuple[Path, ...]:
    if not name.isidentifier():
        return ()
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return ()
    return tuple(Path(folder) for folder in (spec.submodule_search_locations or ())) if spec is not None else ()


def _foreign(name: str, folders: tuple[Path, ...]) -> str | None:
    """Why the name may belong to another package, which would then be trusted as the project's own."""
    if name in sys.stdlib_module_names or name == "platform_lib":
        return (
            f"{name} is also the name of a module of {'Python' if name != 'platform_lib' else 'this platform'}, so "
            "rename the project's package"
        )
    for distribution in _distributions(name):
        if not _is_local(distribution):
            return (
                f"{name} is also the name of a package of the installed {distribution}, so rename the project's package"
            )
    return None


@cache
def _distributions(package: str) -> tuple[str, ...]:
    """The installed distributions that have a top-level module or package of this name.

    `importlib.metadata.packages_distributions` says the same about all names, but parses every list of files for it:
    half a second of CPU.
    """
    found = (each for each in importlib.metadata.distributions() if _provides(each, package))
    return tuple(dict.fromkeys(str(each.metadata["Name"]) for each in found))


def _provides(distribution: importlib.metadata.Distribution, package: str) -> bool:
    if declared := (distribution.read_text("top_level.txt") or "").split():
        return package in declared
    listed = distribution.read_text("RECORD")
    if listed is not None and package not in listed:
        return False
    return any(
        (file.parts[0] if len(file.parts) > 1 else inspect.getmodulename(file) or str(file)) == package
        for file in distribution.files or ()
    )


def _is_local(distribution: str) -> bool:
    """Whether it was installed from a folder or a repository instead of an index."""
    try:
        direct = json.loads(importlib.metadata.distribution(distribution).read_text("direct_url.json") or "{}")
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return False
    return bool(direct)


def _places(folders: tuple[Path, ...], parts: tuple[str, ...]) -> dict[str, frozenset[str]]:
    for folder in folders:
        for file in (
            (folder.joinpath(*parts[:-1], f"{parts[-1]}.py"), folder.joinpath(*parts, "__init__.py"))
            if parts
            else (folder / "__init__.py",)
        ):
            if file.is_file():
                try:
                    return _defined(file.read_text(encoding="utf-8"))
                except (OSError, UnicodeDecodeError, SyntaxError, ValueError):
                    return {}
    return {}


@cache
def _defined(source: str) -> dict[str, frozenset[str]]:
    """Per top-level name, the nodes in which it may occur. A name that is bound twice, such as by a class and an
    import, has none."""
    places: dict[str, frozenset[str]] = {}
    bound: list[str] = []
    for node in ast.parse(source).body:
        match node:
            case ast.ClassDef(name=name):
                places[name] = _PLACES_OF_A_CLASS
                bound.append(name)
            case ast.FunctionDef(name=name):
                places[name] = frozenset({"FunctionNode"})
                bound.append(name)
            case _:
                bound.extend(_bound_by(node))
    return {name: where for name, where in places.items() if bound.count(name) == 1 and "*" not in bound}


def _bound_by(statement: ast.stmt) -> list[str]:
    names: list[str] = []
    for node in ast.walk(statement):
        if isinstance(node, ast.alias):
            names.append((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.append(node.name)
    return names
