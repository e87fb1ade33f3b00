"""A serving image's packages are small and exclude what only training needs.

`pytest -s` prints each distribution's size.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

from platform_lib.image.context import EXTRAS
from platform_lib.image.wheel import write_wheel
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

BUDGET_MIB = 475
"""Without bytecode, which adds a seventh. pyarrow (150), scipy (109), numpy (55), pandas (42) and scikit-learn (30)
are what answers and
logs; all else together may take the rest, with some room to grow."""
ONLY_FOR_TRAINING = re.compile(
    r"mlflow.*|prefect.*|dvc.*|pulumi.*|hydra-core|omegaconf|optuna|pandera|sqlalchemy|alembic|boto.*|aiobotocore|git.*|ray|pip|pytest.*"
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> list[Distribution]:
    """The distributions of a fresh environment with the serving image's extras.

    Versions are those of the development environment.
    """
    folder = tmp_path_factory.mktemp("serving")
    wheel = write_wheel("platform-lib", folder / "wheels")
    pins = re.findall(
        r"^[a-z0-9.-]+==[^\\\n]+", (REPOSITORY / "requirements" / "dev.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    (folder / "pins.txt").write_text("\n".join(pins), encoding="utf-8")
    requirement = f"platform-lib[{','.join(EXTRAS['serve'])}] @ {wheel.as_uri()}"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")], check=True)
    command = [
        *uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        str(folder / "venv"),
        "--constraint",
        str(folder / "pins.txt"),
        requirement,
    ]
    subprocess.run(command, check=True, timeout=300)
    return list(distributions(path=[str(path) for path in (folder / "venv").rglob("site-packages")]))


def sizes(distribution: Distribution) -> Iterator[int]:
    """The size in bytes of each existing file of a distribution, without bytecode."""
    for recorded in distribution.files or []:
        path = Path(str(recorded.locate()))
        if path.suffix != ".pyc" and path.is_file():
            yield path.stat().st_size


@pytest.mark.skipif(sys.platform != "linux", reason="images are Linux; compiled packages have other sizes elsewhere")
def test_serving_packages_stay_within_their_size_budget(served: list[Distribution]) -> None:
    mib = {distribution.name: sum(sizes(distribution)) / 2**20 for distribution in served}
    table = [f"{share:7.1f} MiB  {name}" for name, share in sorted(mib.items(), key=lambda item: -item[1])]
    print("\n".join([f"{sum(mib.values()):7.1f} MiB  in all", *table]))
    assert sum(mib.values()) <= BUDGET_MIB, "\n".join(table)


def test_serving_packages_include_nothing_that_only_training_needs(served: list[Distribution]) -> None:
    assert len(served) > 20
    assert [
        distribution.name for distribution in served if ONLY_FOR_TRAINING.fullmatch(distribution.name.lower())
    ] == []
