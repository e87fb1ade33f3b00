"""Projects of every release, as people have them before an update."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import copier
import pytest

from platform_lib.settings import find_project
from platform_lib.updates.releases import read_origin
from platform_lib.updates.settle import Settled, settle
from tests.conftest import REPOSITORY, commit_all, git
from tests.template.updates.history import HOME, NEXT, RELEASES, History, build_history

Generate = Callable[..., Path]
Update = Callable[..., Settled]


@pytest.fixture(scope="session")
def all_releases(tmp_path_factory: pytest.TempPathFactory) -> History:
    """The repository of the template with every release."""
    if git(REPOSITORY, "rev-parse", "--is-shallow-repository").strip() == "true":
        pytest.skip(f"this clone is shallow, so the commits of {', '.join(RELEASES)} are not in it")
    return build_history(tmp_path_factory.mktemp("history"))


@pytest.fixture
def history(all_releases: History, monkeypatch: pytest.MonkeyPatch) -> Iterator[History]:
    """The same, behind the home address."""
    with all_releases.served(monkeypatch):
        yield all_releases


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Projects that were generated already, by release and answers."""
    return {"": tmp_path_factory.mktemp("generated")}


@pytest.fixture
def generate_release(history: History, generated: dict[str, Path]) -> Generate:
    """`generate_release(folder, tag, **answers)`: a committed project of a release."""

    def run(folder: Path, tag: str, **answers: str) -> Path:
        answers = {"project_name": "churn-model", **answers}
        key = f"{tag} {sorted(answers.items())}"
        if key not in generated:
            first = generated[""] / str(len(generated))
            copier.run_copy(HOME, first, data=answers, defaults=True, quiet=True, vcs_ref=tag)
            git(first, "init", "-q", "-b", "main")
            commit_all(first, "generated")
            generated[key] = first
        shutil.copytree(generated[key], folder, dirs_exist_ok=True)
        return folder

    return run


@pytest.fixture
def update(history: History) -> Update:
    """`update(folder, tag, **changed_answers)`: what `mlp update` does to files, without a process per step."""

    def run(folder: Path, tag: str = NEXT, **answers: str) -> Settled:
        origin = read_origin(find_project(folder))
        copier.run_update(folder, data=answers, defaults=True, overwrite=True, quiet=True, vcs_ref=tag)

        def render(target: Path) -> None:
            copier.run_copy(
                origin.source, target, data=origin.answers, defaults=True, quiet=True, vcs_ref=origin.commit
            )

        return settle(folder, render)

    return run
