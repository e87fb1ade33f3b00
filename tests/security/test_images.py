"""Images: only listed files get into them, and files with secrets never do, wherever they lie."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from platform_lib.errors import CheckFailed, UsageError
from platform_lib.image.context import CONTEXT_FOLDER, refuse_secrets
from platform_lib.image.ignore import context_files, is_excluded, read_patterns
from platform_lib.image.secret_files import SECRET_FOLDERS, why_secret
from platform_lib.settings import Project
from tests.conftest import Called
from tests.image.engine import need_image_engines

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB+Q==\n-----END CERTIFICATE-----\n"
PRIVATE_KEY = "-----BEGIN EC PRIVATE KEY-----\nMIIB+Q==\n-----END EC PRIVATE KEY-----\n"
ROOT_DECOYS = (
    ".dvc/config.local", ".env", ".env.production", "prod.env", ".envrc", ".netrc", ".pypirc", ".npmrc", ".git-credentials",
    "kubeconfig", "team.kubeconfig", ".kube/config", ".aws/credentials", ".aws/config", ".ssh/id_ed25519", "id_rsa",
    "credentials.json", "secrets.yaml", "client_secret_1.json", "service-account.json", "tls.key", "tls.pem", "store.p12",
    "infra.tfstate", "prod.tfvars", ".pgpass", "deploy/Pulumi.production.yaml", ".git/config", ".venv/x.py", ".mlp/mlflow.db",
    "tests/test_x.py", "notes.txt", "customers.csv", "data/customers.csv", "data/export.parquet",
)  # fmt: skip
NESTED_DECOYS = (
    "src/sample_model/.env", "src/sample_model/.env.local", "src/sample_model/deep/er/tls.pem", "src/sample_model/ca.key",
    "conf/.netrc", "conf/model/kubeconfig", "src/sample_model/.aws/credentials", "src/sample_model/.ssh/config",
    "src/sample_model/id_rsa", "conf/credentials.json", "src/sample_model/gcp-credentials.json", "conf/secrets.yaml",
    "src/sample_model/client_secret_2.json", "src/sample_model/.pypirc", "conf/data/prod.tfvars",
)  # fmt: skip
HARMLESS = (
    "src/sample_model/credentials.py", "src/sample_model/secrets.py", "src/sample_model/key.py", "conf/model/environment.yaml",
    "src/sample_model/token_filter.py", "data/table.parquet.dvc",
)  # fmt: skip


def write(root: Path, *names: str, text: str = "x") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def in_context(project: Project) -> set[str]:
    return set(context_files(project.root, read_patterns((project.root / ".dockerignore").read_text(encoding="utf-8"))))


def copied(root: Path, scratch: Path) -> set[str]:
    """The files that a real builder copies with `COPY . /app/`."""
    need_image_engines()
    dockerfile = scratch / "Dockerfile"
    dockerfile.write_text("FROM scratch\nCOPY . /app/\n", encoding="utf-8")
    env = {**os.environ, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}

    def buildah(*words: str) -> str:
        command = ["buildah", "--root", str(scratch / "store"), "--runroot", str(scratch / "run"), *words]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    buildah("bud", "--quiet", "--file", str(dockerfile), "--tag", "decoys", str(root))
    container = buildah("from", "--pull-never", "decoys")
    app = Path(buildah("mount", container)) / "app"
    try:
        return {path.relative_to(app).as_posix() for path in app.rglob("*") if path.is_file() or path.is_symlink()}
    finally:
        buildah("umount", container)
        buildah("rm", container)


def test_the_context_holds_what_is_listed_and_no_secret(project: Project) -> None:
    before = in_context(project)
    assert {path.split("/")[0] for path in before} == {
        ".dvc", ".dvcignore", "Dockerfile", "conf", "data", "docker", "pyproject.toml", "src", "uv.lock",
    }  # fmt: skip
    assert {path for path in before if path.startswith((".dvc/", "data/", "docker/"))} == {
        ".dvc/config", "data/sample.csv", "docker/apt.txt",
    }  # fmt: skip
    write(project.root, *ROOT_DECOYS, *NESTED_DECOYS, *HARMLESS, "build/image/source.json", "build/other")
    assert in_context(project) - before == {*HARMLESS, "build/image/source.json"}
    refuse_secrets(project)


def test_what_a_user_adds_gets_in_unless_it_is_a_secret(project: Project) -> None:
    write(project.root, "sql/a.sql", "sql/deep/b.sql")
    with (project.root / ".dockerignore").open("a", encoding="utf-8") as file:
        file.write("!sql\n!.dvc\n")
    refuse_secrets(project)
    assert {"sql/a.sql", "sql/deep/b.sql"} <= in_context(project)
    write(project.root, "sql/.env", "sql/deep/TLS.PEM", ".dvc/config.local")
    with pytest.raises(CheckFailed) as caught:
        refuse_secrets(project)
    for name in ("sql/.env", "sql/deep/TLS.PEM", ".dvc/config.local (it holds the credentials of a DVC remote)"):
        assert name in str(caught.value)
    with (project.root / ".dockerignore").open("a", encoding="utf-8") as file:
        file.write("**/.env\n**/TLS.PEM\n.dvc/config.local\n")
    refuse_secrets(project)


@pytest.mark.parametrize("name", [*NESTED_DECOYS, *(f"sql/{folder}/anything" for folder in SECRET_FOLDERS)])
def test_each_kind_of_secret_is_refused_by_name(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    assert why_secret(tmp_path, name) is not None


def test_secrets_are_found_by_content_and_certificates_and_code_are_none(tmp_path: Path) -> None:
    write(tmp_path, "src/notes.txt", "conf/bundle.pem", text=CERTIFICATE + PRIVATE_KEY)
    write(tmp_path, "src/ca.pem", text=CERTIFICATE * 2)
    write(tmp_path, ".dvc/config", text="['remote \"s\"']\n    url = s3://b\n    secret_access_key = abc\n")
    write(tmp_path, *HARMLESS)
    assert why_secret(tmp_path, "src/notes.txt") == "it contains a private key"
    assert why_secret(tmp_path, "conf/bundle.pem") is not None
    assert "dvc remote modify --local" in str(why_secret(tmp_path, ".dvc/config"))
    assert [why_secret(tmp_path, name) for name in ("src/ca.pem", *HARMLESS)] == [None] * (len(HARMLESS) + 1)


def test_mlp_image_refuses_and_leaves_nothing_to_build_from(project: Project, call_mlp: Callable[..., Called]) -> None:
    write(project.root, "src/sample_model/deploy.txt", text=PRIVATE_KEY)
    write(project.root, f"{CONTEXT_FOLDER}/source.json")
    called = call_mlp(project, "image")
    assert called.code == 1
    assert "src/sample_model/deploy.txt (it contains a private key)" in called.err
    assert not (project.root / CONTEXT_FOLDER).exists()


def test_without_an_ignore_file_nothing_is_built_and_every_ignore_file_counts(project: Project) -> None:
    write(project.root, ".env")
    write(project.root, ".containerignore", text="build\n")
    with pytest.raises(CheckFailed, match=r"\.env "):
        refuse_secrets(project)
    (project.root / ".containerignore").unlink()
    (project.root / ".dockerignore").unlink()
    with pytest.raises(UsageError, match=r"git checkout -- \.dockerignore"):
        refuse_secrets(project)


@pytest.mark.engine
def test_a_real_builder_copies_exactly_the_files_that_the_check_sees(project: Project, tmp_path: Path) -> None:
    write(
        project.root, *ROOT_DECOYS, *NESTED_DECOYS, *HARMLESS, "sql/a.sql", "sql/deep/b.sql", "build/image/source.json"
    )
    write(project.root, "sql/a b.txt", "sql/[x].txt", "sql/deep/er/c.sql", "other/keep/x", "other/drop/x")
    (project.root / "sql" / "link").symlink_to("../.env")
    with (project.root / ".dockerignore").open("a", encoding="utf-8") as file:
        file.write(
            "!sql\nsql/**/c.sql\n!other/keep/\n  # a comment that is a pattern\n!/sql/de?p/er/c.sql\nsql/[ab].sql\n"
        )
    seen = in_context(project)
    assert copied(project.root, tmp_path) == seen
    assert {"sql/deep/er/c.sql", "sql/link", "other/keep/x"} <= seen
    assert not {"sql/a.sql", "other/drop/x", "src/sample_model/deep/er/tls.pem"} & seen


@pytest.mark.parametrize(
    ("lines", "path", "excluded"),
    [
        ("*", "a/b", True),
        ("*\n!a", "a/b/c", False),
        ("**/.env", ".env", True),
        ("**/.env", "a/b/.env", True),
        ("a/**", "a/b/c", True),
        ("a/**/c", "a/c", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a*c", "a/c", False),
        ("/a/", "a/b", True),
        ("a\n!a/b\na/b/c", "a/b/c", True),
        ("a\n!a/b\na/b/c", "a/b/d", False),
        ("*.txt", "a/b.txt", False),
        ("[a-c].txt", "b.txt", True),
        ("a\\*", "a*", True),
        ("a\\*", "ab", False),
        ("# a\n\n", "# a", False),
        ("./a/../b", "b", True),
    ],
)
def test_patterns_mean_what_they_mean_to_docker(lines: str, path: str, excluded: bool) -> None:
    assert is_excluded(path, read_patterns(lines)) == excluded
