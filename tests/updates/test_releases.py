"""The source and the version in `.copier-answers.yml`."""

import pytest

from platform_lib.errors import NotFound, UsageError
from platform_lib.settings import Project
from platform_lib.updates.releases import Origin, Version, choose, read_origin


def origin(source: str = "gh:acme/platform", commit: str = "v0.2.0") -> Origin:
    return Origin(source=source, commit=commit, package_manager="uv", answers={})


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("gh:acme/platform", "https://github.com/acme/platform"),
        ("gl:acme/platform", "https://gitlab.com/acme/platform"),
        ("git+https://example.com/platform.git", "https://example.com/platform.git"),
        ("git@example.com:acme/platform", "git@example.com:acme/platform"),
        ("/srv/platform", "/srv/platform"),
    ],
)
def test_git_gets_the_address_that_copier_means(source: str, address: str) -> None:
    assert origin(source).address == address


@pytest.mark.parametrize(
    ("commit", "version"),
    [("v0.2.0", (0, 2, 0)), ("v0.2.0-3-gabc1234", (0, 2, 0)), ("abc1234", (0, 0, 0))],
    ids=["release", "after-a-release", "no-release"],
)
def test_a_commit_after_a_release_counts_as_that_release(commit: str, version: Version) -> None:
    assert origin(commit=commit).version == version


def test_the_newest_release_is_chosen_by_number() -> None:
    releases = [(0, 2, 0), (0, 9, 0), (0, 10, 0)]
    assert choose(releases, None, origin()) == (0, 10, 0)
    assert choose(releases, "0.9.0", origin()) == choose(releases, "v0.9.0", origin()) == (0, 9, 0)


@pytest.mark.parametrize(
    ("answers", "error", "message"),
    [
        ("_src_path: [\n", UsageError, "cannot be read"),
        ("project_name: churn\n", NotFound, "names no version of the template"),
    ],
    ids=["broken", "from-a-folder-without-git"],
)
def test_answers_that_name_no_version_are_explained(
    project: Project, answers: str, error: type[Exception], message: str
) -> None:
    (project.root / ".copier-answers.yml").write_text(answers, encoding="utf-8")
    with pytest.raises(error, match=message):
        read_origin(project)
