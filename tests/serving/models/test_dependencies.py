"""Which library differences between training and serving are refused, and which are noted."""

import platform
from pathlib import Path

import pytest

from platform_lib.serving.models.dependencies import compare_dependencies, installed_version, read_pins


def here(version: str | None) -> dict[str, str | None]:
    return {
        "scikit-learn": version,
        "numpy": version,
        "pandas": version,
        "skops": version,
        "platform-lib": version,
        "lightgbm": version,
    }


@pytest.mark.parametrize(
    ("pin", "installed", "verdict"),
    [
        ("scikit-learn==1.9.1", "1.9.1", "same"),
        ("scikit-learn==1.9.1", "1.9.2", "noted"),
        ("scikit-learn==1.9.1", "1.8.1", "refused"),
        ("scikit-learn==1.9.1", "1.10.0", "refused"),
        ("numpy==2.1.0", "2.4.6", "noted"),
        ("numpy==1.26.4", "2.4.6", "refused"),
        ("pandas==2.3.3", "3.1.1", "refused"),
        ("skops==0.13.0", "0.16.0", "noted"),
        ("skops==0.13.0", "1.0.0", "noted"),
        ("platform-lib==0.1.0", "1.2.0", "noted"),
        ("lightgbm==4.6.0", "4.7.0", "noted"),
        ("lightgbm==4.6.0", "5.0.0", "refused"),
        ("lightgbm==4.6.0", None, "refused"),
        ("Scikit_Learn==1.9.1", "1.8.0", "refused"),
        ("platform-lib[serving] @ git+https://example.invalid/x@abc", "9", "same"),
    ],
)
def test_a_difference_is_refused_noted_or_ignored(
    pin: str, installed: str | None, verdict: str, tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text(f"mlflow==1.0\n{pin}\n", encoding="utf-8")
    found = compare_dependencies(tmp_path, installed=here(installed).get)
    assert {"refused": len(found.incompatible), "noted": len(found.noted)} == {
        "refused": verdict == "refused",
        "noted": verdict == "noted",
    }


def test_a_sentence_names_the_package_and_both_versions(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("scikit-learn==1.6.0\nlightgbm==4.0\n", encoding="utf-8")
    found = compare_dependencies(tmp_path, installed={"scikit-learn": "1.9.1"}.get)
    assert found.incompatible == (
        "it was trained with scikit-learn 1.6.0, but 1.9.1 is installed here",
        "it needs lightgbm 4.0, which is not installed here",
    )


def test_another_minor_version_of_python_is_noted(tmp_path: Path) -> None:
    assert compare_dependencies(tmp_path, platform.python_version()).noted == ()
    assert compare_dependencies(tmp_path, "3.2.1").noted == (
        f"it was trained with Python 3.2.1, but this is Python {platform.python_version()}",
    )


def test_a_model_trained_here_has_no_differences(tmp_path: Path) -> None:
    from platform_lib.registry.model_files import requirements

    (tmp_path / "requirements.txt").write_text("\n".join(requirements(["sklearn.pipeline.Pipeline"])), encoding="utf-8")
    assert set(read_pins(tmp_path)) >= {"numpy", "pandas", "scikit-learn", "skops"}
    found = compare_dependencies(tmp_path)
    assert (found.incompatible, found.noted) == ((), ())
    assert installed_version("no-such-distribution") is None
