"""Types of the project's own package pass, without importing it; names that it only imports do not."""

import json
import os
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import skops.io
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
)

from platform_lib.errors import UntrustedModel
from platform_lib.model.trust import check_types
from platform_lib.model.trust.own_package import _distributions
from tests.model.trust.model_files import (
    forget,
    own_model,
    rename,
    saved,
)


def test_classes_and_functions_of_the_own_package_pass(own: Path, path: Path) -> None:
    trusted = check_types(own_model(path), package="ownmodel")
    assert trusted == ["ownmodel.features.Run", "ownmodel.features.Scale", "ownmodel.features.double"]
    assert type(skops.io.load(path, trusted=trusted)[0]).__name__ == "Scale"


def test_the_distributions_of_a_name_are_those_that_python_finds() -> None:
    everything = packages_distributions()
    names = [
        "sklearn",
        "yaml",
        "google",
        "platform_lib",
        "_pytest",
        "six",
        "typing_extensions",
        *sorted(everything)[::40],
    ]

    found = {name: set(_distributions(name)) for name in (*names, "no_such_package")}

    assert found == {name: set(everything.get(name, ())) for name in found}
    assert found["sklearn"] == {"scikit-learn"}


def test_the_own_package_is_not_imported_by_the_check(own: Path, path: Path) -> None:
    own_model(path)
    forget(own)
    check_types(path, package="ownmodel")
    assert not (own.parent.parent / "imported").exists()


def test_without_a_declared_package_its_types_are_foreign(own: Path, path: Path) -> None:
    own_model(path)
    with pytest.raises(UntrustedModel, match=r"ownmodel\.features"):
        check_types(path, package=None)


@pytest.mark.parametrize("name", ["system", "Path", "rebound", "missing"])
def test_a_name_that_the_own_package_only_imports_or_rebinds_is_refused(name: str, own: Path, path: Path) -> None:
    rename(own_model(path), "double", name)
    with pytest.raises(
        UntrustedModel, match=rf"ownmodel\.features\.{name}, .*no module of the package ownmodel defines it"
    ):
        check_types(path, package="ownmodel")


def test_a_package_with_the_same_name_prefix_is_foreign(own: Path, path: Path) -> None:
    own_model(path)
    with pytest.raises(UntrustedModel, match="not on a list"):
        check_types(path, package="own")


@pytest.mark.parametrize(
    ("package", "function", "reason"),
    [
        ("os", os.path.join, "also the name of a module of Python"),
        ("json", json.loads, "also the name of a module of Python"),
        ("skops", skops.io.load, "also the name of a package of the installed skops"),
        ("platform_lib", check_types, "also the name of a module of this platform"),
    ],
    ids=["os", "json", "skops", "platform_lib"],
)
def test_a_project_package_named_like_a_library_does_not_extend_trust_to_it(
    package: str, function: Callable[..., Any], reason: str, path: Path
) -> None:
    saved(path, make_pipeline(FunctionTransformer(function), Ridge()))
    rename(path, "posixpath", "os.path")
    with pytest.raises(UntrustedModel, match=reason):
        check_types(path, package=package)
