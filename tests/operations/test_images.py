"""Build images with a real buildah and push them to a registry on loopback.

Also covers which builder is chosen and which settings are refused.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_lib.errors import ServiceError, UsageError
from platform_lib.operations.images import Builder, build_and_push, find_builder, is_pinned, is_repository
from platform_lib.operations.revision import image_tag
from platform_lib.settings import Project
from tests.conftest import git
from tests.engines import need_engine
from tests.operations.image_registry import image_registry

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def registry() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Address and content of a registry."""
    with image_registry() as found:
        yield found


@pytest.fixture
def buildah(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: tuple[str, dict[str, bytes]]) -> Builder:
    """buildah with its own store, which accepts the test's registry without TLS."""
    path = str(need_engine("buildah"))
    (tmp_path / "registries.conf").write_text(
        f'[[registry]]\nlocation = "{registry[0]}"\ninsecure = true\n', encoding="utf-8"
    )
    storage = f'[storage]\ndriver = "vfs"\nrunroot = "{tmp_path}/run"\ngraphroot = "{tmp_path}/store"\n'
    (tmp_path / "storage.conf").write_text(storage, encoding="utf-8")
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(tmp_path / "storage.conf"))
    monkeypatch.setenv("BUILDAH_ISOLATION", "chroot")
    return Builder("buildah", path)


@pytest.mark.engine
@pytest.mark.slow
def test_the_serve_target_is_built_pushed_and_identified_by_digest(
    buildah: Builder, registry: tuple[str, dict[str, bytes]], tmp_path: Path
) -> None:
    address, stored = registry
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Dockerfile").write_text(
        "ARG PYTHON=none\nFROM scratch AS serve\nARG PYTHON\nLABEL python=$PYTHON\nCOPY hello /hello\nFROM scratch "
        "AS train\nCOPY missing /missing\n",
        encoding="utf-8",
    )
    (folder / "hello").write_text("hello", encoding="utf-8")
    said: list[str] = []
    image = build_and_push(
        buildah, folder, f"{address}/team/churn", "v1", build_args={"PYTHON": "3.12"}, say=said.append
    )
    assert is_pinned(image)
    name, _, digest = image.partition("@")
    assert name == f"{address}/team/churn"
    manifest = json.loads(stored[digest])
    assert manifest["layers"]
    assert json.loads(stored[manifest["config"]["digest"]])["config"]["Labels"]["python"] == "3.12"
    assert stored["v1"] == stored[digest]
    assert said == [f"Building {address}/team/churn:v1 with buildah.", f"Pushing {address}/team/churn:v1."]


@pytest.mark.engine
@pytest.mark.slow
def test_the_builders_output_reaches_the_user(buildah: Builder, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch AS serve\nCOPY not-there /x\n", encoding="utf-8")
    with pytest.raises(ServiceError, match=r"(?s)`buildah build --layers …` failed:.*not-there"):
        build_and_push(buildah, folder, "127.0.0.1:1/team/churn", "v1", say=lambda _: None)


def program(folder: Path, name: str, code: int) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\nexit {code}\n", encoding="utf-8")
    path.chmod(0o755)


def test_the_first_builder_that_works_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many machines have a docker command without a running daemon."""
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "docker", 1)
    program(tmp_path, "podman", 0)
    assert find_builder().name == "podman"
    with pytest.raises(UsageError, match=r"no working image builder found \(looked for docker\)"):
        find_builder("docker")


def test_without_a_builder_the_error_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"looked for docker, podman, buildah.*mlp deploy --image NAME@sha256"):
        find_builder()


@pytest.mark.parametrize(
    ("text", "pinned"),
    [
        (f"registry.example.com:5000/a/b@{DIGEST}", True),
        (f"a@{DIGEST[:-1]}", False),
        ("a:latest", False),
        (f"@{DIGEST}", False),
        ("a@sha256:" + "Z" * 64, False),
    ],
)
def test_a_digest_pins_an_image(*, text: str, pinned: bool) -> None:
    assert is_pinned(text) is pinned


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("registry.example.com:5000/a/b", True),
        ("a/b", True),
        ("a/b:v1", False),
        (f"a/b@{DIGEST}", False),
        ("https://a/b", False),
        ("", False),
    ],
)
def test_a_repository_with_a_tag_is_refused(*, text: str, fits: bool) -> None:
    assert is_repository(text) is fits


def test_a_project_without_a_dockerfile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no Dockerfile in"):
        build_and_push(Builder("docker", "docker"), tmp_path, "a/b", "v1", say=lambda _: None)


def test_the_tag_names_the_commit_and_whether_the_tree_is_dirty(project: Project) -> None:
    commit = git(project.root, "rev-parse", "--short=8", "HEAD").strip()
    assert image_tag(project.root).endswith(f"-{commit}")
    (project.root / "README.md").write_text("changed", encoding="utf-8")
    assert image_tag(project.root).endswith(f"-{commit}-dirty")
