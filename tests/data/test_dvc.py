"""DVC: tracked tables can be pushed and pulled with `mlp` and plain `dvc`, to a folder and to S3."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from platform_lib.data import dvc
from platform_lib.data.dataset import find_contract, load_dataset
from platform_lib.errors import NotFound, ServiceError, UsageError
from platform_lib.settings import Project
from tests.conftest import commit_all, git
from tests.data.conftest import import_file

TABLE = "a,y\n1,p\n2,q\n3,p\n4,q\n"


def run_dvc(folder: Path, *args: str) -> str:
    """Plain `dvc`, as users run it."""
    done = subprocess.run([sys.executable, "-m", "dvc", *args], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def imported(bare: Project, write: Callable[..., Path]) -> Project:
    """A project with a tracked table, committed, and no remote."""
    (bare.root / ".gitignore").write_text(".mlp/\n", encoding="utf-8")
    import_file(bare, write(TABLE), target="y")
    commit_all(bare.root)
    return bare


def clone(project: Project, folder: Path) -> Project:
    """A second clone, as a colleague would have."""
    git(folder.parent, "clone", "-q", str(project.root), str(folder))
    return replace(project, root=folder)


def test_a_clone_pulls_what_was_pushed_to_a_folder_remote(imported: Project, tmp_path: Path) -> None:
    run_dvc(imported.root, "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    commit_all(imported.root)

    assert dvc.push(imported) == 1
    assert dvc.push(imported) == 0
    other = clone(imported, tmp_path / "clone")
    with pytest.raises(NotFound, match="fetch it with `mlp data pull`"):
        load_dataset(other, find_contract(other))
    assert dvc.pull(other) == 1

    assert load_dataset(other, find_contract(other))["a"].tolist() == [1, 2, 3, 4]
    assert dvc.data_hash(other, find_contract(other)) == dvc.data_hash(imported, find_contract(imported))


@pytest.mark.parametrize("action", [dvc.push, dvc.pull], ids=["push", "pull"])
def test_push_without_tracked_tables_says_so(bare: Project, action: Callable[[Project], int]) -> None:
    with pytest.raises(
        UsageError,
        match="no table of this project is tracked by DVC yet; import one with `mlp data import FILE --target COLUMN`",
    ):
        action(bare)


def test_without_a_remote_the_remedy_is_to_add_one(imported: Project) -> None:
    with pytest.raises(
        UsageError, match="no DVC remote is configured; add one with `dvc remote add --default storage URL`"
    ):
        dvc.push(imported)


def test_an_unknown_remote_lists_the_configured_ones(imported: Project, tmp_path: Path) -> None:
    run_dvc(imported.root, "remote", "add", "storage", str(tmp_path / "storage"))

    with pytest.raises(UsageError, match="there is no DVC remote 'cloud'; configured are: storage"):
        dvc.push(imported, "cloud")


def test_a_default_remote_that_is_not_configured_is_reported(imported: Project) -> None:
    (imported.root / ".dvc" / "config").write_text("[core]\n    remote = gone\n", encoding="utf-8")

    with pytest.raises(UsageError, match="there is no DVC remote 'gone'; configured are: none"):
        dvc.push(imported)


def test_a_folder_without_its_git_history_pulls_too(imported: Project, tmp_path: Path) -> None:
    """An image contains the project like this."""
    run_dvc(imported.root, "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    commit_all(imported.root)
    dvc.push(imported)
    other = clone(imported, tmp_path / "image")
    shutil.rmtree(other.root / ".git")

    assert dvc.pull(other) == 1

    assert (other.data_dir / "table.parquet").read_bytes() == (imported.data_dir / "table.parquet").read_bytes()


def test_a_pull_of_what_was_never_pushed_says_so(imported: Project, tmp_path: Path) -> None:
    (tmp_path / "storage").mkdir()
    run_dvc(imported.root, "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    commit_all(imported.root)
    other = clone(imported, tmp_path / "clone")

    with pytest.raises(
        NotFound,
        match=r"DVC could not pull: the DVC remote does not hold the tracked content\. Push it with `mlp data push`",
    ):
        dvc.pull(other)


def test_a_remote_that_is_not_writable_is_a_service_failure(imported: Project, tmp_path: Path) -> None:
    (tmp_path / "storage").write_text("a file, not a folder", encoding="utf-8")
    run_dvc(imported.root, "remote", "add", "--default", "storage", str(tmp_path / "storage"))

    with pytest.raises(
        ServiceError,
        match=r"DVC could not push: the DVC remote cannot be reached or refused \(.+\)\. See `dvc remote list`\.",
    ):
        dvc.push(imported)


def test_a_lost_cache_is_refilled_from_the_table(imported: Project, tmp_path: Path) -> None:
    run_dvc(imported.root, "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    shutil.rmtree(imported.root / ".dvc" / "cache")

    assert dvc.push(imported) == 1


def test_a_lost_cache_and_table_are_reported(imported: Project, tmp_path: Path) -> None:
    run_dvc(imported.root, "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    shutil.rmtree(imported.root / ".dvc" / "cache")
    (imported.data_dir / "table.parquet").unlink()

    with pytest.raises(
        UsageError,
        match=r"data/table\.parquet is neither here nor in the cache; fetch it with `mlp data pull`, or import it again",
    ):
        dvc.push(imported)


def test_a_changed_table_is_neither_pushed_nor_overwritten(imported: Project, tmp_path: Path) -> None:
    run_dvc(imported.root, "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    dvc.push(imported)
    (imported.data_dir / "table.parquet").write_bytes(b"changed by hand")

    with pytest.raises(UsageError, match=r"data/table\.parquet was changed after it was imported"):
        dvc.push(imported)
    with pytest.raises(UsageError, match=r"data/table\.parquet was changed here and would be overwritten"):
        dvc.pull(imported)
    dvc.pull(imported, force=True)

    assert load_dataset(imported, find_contract(imported))["a"].tolist() == [1, 2, 3, 4]


def test_pull_restores_the_version_of_the_checked_out_commit(
    imported: Project, write: Callable[..., Path], tmp_path: Path
) -> None:
    import_file(imported, write("a,y\n9,p\n8,q\n9,p\n8,q\n"), mode="replace")
    git(imported.root, "checkout", "-q", "--", ".")

    assert dvc.pull(imported) == 0

    assert load_dataset(imported, find_contract(imported))["a"].tolist() == [1, 2, 3, 4]


@pytest.mark.slow
def test_plain_dvc_and_mlp_share_the_remote(imported: Project, tmp_path: Path) -> None:
    run_dvc(imported.root, "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    commit_all(imported.root)
    run_dvc(imported.root, "push")
    assert dvc.push(imported) == 0

    ours, plain = clone(imported, tmp_path / "ours"), clone(imported, tmp_path / "plain")
    assert dvc.pull(ours) == 1
    run_dvc(plain.root, "pull")

    assert (plain.data_dir / "table.parquet").read_bytes() == (ours.data_dir / "table.parquet").read_bytes()
    assert run_dvc(plain.root, "status").strip() == "Data and pipelines are up to date."


@dataclass(frozen=True)
class Bucket:
    """A bucket of an S3 server on loopback."""

    endpoint: str
    name: str


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    """Moto's server on a free port, with one bucket; credentials for it in the environment."""
    import boto3  # type: ignore[import-untyped]
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    before = dict(os.environ)
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }
    try:
        endpoint = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="tables")
        yield Bucket(endpoint, "tables")
    finally:
        os.environ.clear()
        os.environ |= before
        server.stop()


def add_s3(project: Project, bucket: Bucket, name: str) -> None:
    run_dvc(project.root, "remote", "add", "--default", "storage", f"s3://{name}/dvc")
    run_dvc(project.root, "remote", "modify", "storage", "endpointurl", bucket.endpoint)
    commit_all(project.root)


@pytest.mark.slow
def test_a_clone_pulls_from_s3_with_mlp_and_plain_dvc(imported: Project, bucket: Bucket, tmp_path: Path) -> None:
    add_s3(imported, bucket, bucket.name)

    assert dvc.push(imported) == 1
    assert dvc.push(imported) == 0
    ours, plain = clone(imported, tmp_path / "ours"), clone(imported, tmp_path / "plain")
    assert dvc.pull(ours) == 1
    run_dvc(plain.root, "pull")
    run_dvc(plain.root, "push")

    assert load_dataset(ours, find_contract(ours))["a"].tolist() == [1, 2, 3, 4]
    assert (plain.data_dir / "table.parquet").read_bytes() == (ours.data_dir / "table.parquet").read_bytes()


@pytest.mark.slow
def test_a_missing_bucket_is_a_service_failure(imported: Project, bucket: Bucket) -> None:
    add_s3(imported, bucket, "no-such-bucket")

    with pytest.raises(ServiceError, match=r"DVC could not push: the DVC remote cannot be reached or refused"):
        dvc.push(imported)


@pytest.mark.slow
def test_an_unreachable_server_is_a_service_failure(imported: Project, bucket: Bucket, free_port: int) -> None:
    add_s3(imported, replace(bucket, endpoint=f"http://127.0.0.1:{free_port}"), "tables")

    with pytest.raises(ServiceError, match=r"DVC could not push: the DVC remote cannot be reached or refused"):
        dvc.push(imported)


@pytest.fixture
def free_port() -> int:
    """A port on which nothing listens."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
