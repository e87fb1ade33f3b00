"""`make setup check test train` and the generated CI with real uv and PDM.

Once installed, everything runs without the network.
"""

import importlib.metadata
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import copier
import pytest

from tests.conftest import REPOSITORY
from tests.template.shells import shell, user_environment
from tests.template.workflow_runner import run_job

pytestmark = pytest.mark.slow

HAS_TABLE = (
    "hashFiles('conf/data/*.yaml') != '' && (hashFiles('data/*.dvc') == '' || "
    "(env.TRUSTED == 'true' && vars.MLP_DATA_IN_CI == 'true'))"
)
NO_NETWORK = dict.fromkeys(
    ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"
) | {
    "no_proxy": "127.0.0.1,localhost",
    "NO_PROXY": "127.0.0.1,localhost",
    "PIP_NO_INDEX": "1",
    "UV_OFFLINE": "1",
}


def pin_for_pdm(folder: Path) -> None:
    """Pin the development environment's versions, which are known to be compatible.

    PDM would take minutes to resolve them.
    """
    versions = sorted(
        {(entry.name.lower().replace("_", "-"), entry.version) for entry in importlib.metadata.distributions()}
    )
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tool.pdm.resolution.overrides]\n")
        file.writelines(
            f'{json.dumps(name)} = "=={version}"\n'
            for name, version in dict(versions).items()
            if name != "platform-lib"
        )


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("uv", marks=pytest.mark.xdist_group("uv")),
        pytest.param("pdm", marks=pytest.mark.xdist_group("pdm")),
    ],
)
def installed(
    request: pytest.FixtureRequest, template_source: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A project with its own environment, made by `make setup`, with the library from this checkout."""
    manager: str = request.param
    folder = tmp_path_factory.mktemp(manager) / "project"
    answers = {
        "project_name": f"{manager}-model",
        "package_manager": manager,
        "task": "classification" if manager == "uv" else "regression",
    }
    copier.run_copy(str(template_source), folder, data=answers, defaults=True, quiet=True)
    source, checkout = template_source.resolve().as_uri(), REPOSITORY.as_uri()
    text = (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert text.count(source) == 1
    (folder / "pyproject.toml").write_text(text.replace(source, checkout), encoding="utf-8")
    if manager == "pdm":
        pin_for_pdm(folder)
    shell(folder, "make", "setup", env=user_environment())
    return manager, folder


def test_setup_creates_lock_environment_and_first_commit(installed: tuple[str, Path]) -> None:
    manager, folder = installed
    env = user_environment()
    assert f"{manager}.lock" in shell(folder, "git", "ls-files", env=env).splitlines()
    assert shell(folder, "git", "status", "--porcelain", env=env) == ""
    assert (
        shell(folder, manager, "run", "mlp", "--version", env=env)
        .strip()
        .endswith(importlib.metadata.version("platform-lib"))
    )


def test_a_second_setup_changes_nothing_and_needs_no_network(installed: tuple[str, Path]) -> None:
    manager, folder = installed
    if manager == "pdm":
        pytest.skip(
            "PDM rebuilds a library that is pinned to a folder at each sync, with the build backend from the network"
        )
    before = (folder / f"{manager}.lock").read_bytes()
    shell(folder, "make", "setup", env=user_environment() | NO_NETWORK)
    assert (folder / f"{manager}.lock").read_bytes() == before
    assert shell(folder, "git", "status", "--porcelain", env=user_environment()) == ""


def test_the_generated_ci_and_then_the_notebook_pass_without_the_network(
    installed: tuple[str, Path], tmp_path: Path, osv: str
) -> None:
    """The runner is that of a fork: there is no secret, no role and no registry."""
    manager, folder = installed

    def env(step: str) -> dict[str, str]:
        # PDM rebuilds a library pinned to a folder, as here, at each sync, and downloads the build backend; uv fetches
        # the scanners.
        online = step in ("Secrets", "Audit") or (manager, step) == ("pdm", "Set up")
        return user_environment() | ({} if online else NO_NETWORK) | {"MLP_OSV_URL": osv, "GITHUB_ACTIONS": "true"}

    ran = run_job(
        folder / ".github" / "workflows" / "ci.yml",
        "check",
        folder=folder,
        env=env,
        actions=frozenset({"actions/checkout", "astral-sh/setup-uv", "actions/upload-artifact"}),
        expressions={
            "hashFiles('pdm.lock') != ''": False,  # PDM is installed
            "env.TRUSTED == 'true' && vars.AWS_ROLE_ARN != ''": False,
            HAS_TABLE: True,
            "${{ !cancelled() }}": True,
            **{f"secrets.MLFLOW_TRACKING_{name}": "" for name in ("URI", "USERNAME", "PASSWORD")},
        },
        temporary=tmp_path,
    )
    assert ran == ["Set up", "Check", "Secrets", "Data", "Test", "Train", "Audit", "Steps of this repository"]
    page = (folder / "build" / "ci" / "candidate.md").read_text(encoding="utf-8")
    assert "Judged by thresholds only" in page
    assert (folder / "build" / "ci" / "report.html").is_file()
    shell(folder, manager, "run", "mlp", "promote", "1", env=user_environment() | NO_NETWORK)
    # The notebook was skipped without a model; now there is one.
    assert "1 passed" in shell(
        folder, manager, "run", "pytest", "tests/test_notebook.py", env=user_environment() | NO_NETWORK
    )


def test_the_image_is_pinned_to_the_lock_and_contains_only_what_serving_needs(installed: tuple[str, Path]) -> None:
    manager, folder = installed
    said = shell(folder, manager, "run", "mlp", "image", env=user_environment() | NO_NETWORK)
    assert (
        f"docker build --build-arg PYTHON={sys.version_info[0]}.{sys.version_info[1]} --target serve --tag {manager}-model:serve ."
        in said
    )
    lines = {
        target: (folder / "build" / "image" / f"{target}.txt").read_text(encoding="utf-8").splitlines()
        for target in ("serve", "train")
    }
    assert all(" --hash=sha256:" in line for target in lines.values() for line in target)
    assert set(lines["serve"]) < set(lines["train"])
    names = {line.split("==")[0] for line in lines["serve"]}
    assert {"fastapi", "uvicorn", "uvloop", "scikit-learn", "pyarrow", "opentelemetry-sdk"} <= names
    assert not names & {"mlflow", "prefect", "dvc", "optuna", "hydra-core", "pandera", "ruff", "pytest"}
    locked = (folder / f"{manager}.lock").read_text(encoding="utf-8")
    for line in lines["train"]:
        name, version, digest = re.match(r"(.+)==(\S+) --hash=(\S+)", line).groups()  # type: ignore[union-attr]
        assert re.search(rf'name = "{name}"\nversion = "{re.escape(version)}"\n', locked)
        assert digest in locked
    assert [path.name for path in (folder / "build" / "image" / "wheels").iterdir()] == [
        f"platform_lib-{importlib.metadata.version('platform-lib')}-py3-none-any.whl"
    ]
    assert shell(folder, "git", "status", "--porcelain", env=user_environment()) == ""


def test_setup_in_ci_refuses_an_outdated_lock(installed: tuple[str, Path]) -> None:
    manager, folder = installed
    pyproject = folder / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    try:
        pyproject.write_text(text.replace('"scikit-learn>=1.7"', '"scikit-learn>=1.7.1"'), encoding="utf-8")
        shell(folder, "make", "setup", env=user_environment() | NO_NETWORK | {"CI": "true"}, expect=2)
        assert "problem  lock" in shell(
            folder,
            manager,
            "run",
            *(["--no-sync"] if manager == "uv" else []),
            "mlp",
            "check",
            env=user_environment(),
            expect=1,
        )
    finally:
        pyproject.write_text(text, encoding="utf-8")


def test_make_setup_installs_a_changed_library(tmp_path: Path, render: Callable[..., Path]) -> None:
    """uv rebuilds a folder dependency when a source file has changed.

    The library's pyproject.toml configures it so, for people who work on both.
    """
    import shutil

    library = tmp_path / "library"
    library.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, library)
    shutil.copytree(REPOSITORY / "platform_lib", library / "platform_lib")
    folder = tmp_path / "user"
    folder.mkdir()
    requirement = f"platform-lib @ {library.as_uri()}"
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "user"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["{requirement}"]\n',
        encoding="utf-8",
    )
    env = user_environment()
    shell(folder, "uv", "sync", env=env)
    with (library / "platform_lib" / "errors.py").open("a", encoding="utf-8") as file:
        file.write("\nCHANGED = True\n")
    shell(folder, "uv", "run", "python", "-c", "from platform_lib.errors import CHANGED", env=env)
