"""The commands of docs/platform/backup.md restore an MLflow with the same versions, aliases and files."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer

from platform_lib.infra.base.access import S3Access
from tests.conftest import REPOSITORY
from tests.infra.services.containers import Pod, place
from tests.infra.services.platform import Mlflow, mlflow_graph
from tests.infra.services.postgres import Postgres, program_path
from tests.infra.services.surface import Target

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("platform-services")]
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-west-1"}


def commands() -> dict[str, str]:
    """The page's blocks, by what they do."""
    blocks = re.findall(
        r"^```bash\n(.*?)^```$", (REPOSITORY / "docs/platform/backup.md").read_text(), re.DOTALL | re.MULTILINE
    )
    names = ["dump", "pack", "copy", "restore", "unpack"]
    assert len(blocks) == len(names)
    return dict(zip(names, blocks, strict=True))


def run(block: str, folder: Path, environment: Mapping[str, str]) -> None:
    programs = os.pathsep.join(
        [str(folder), str(Path(sys.executable).parent), str(Path(program_path("pg_dump")).parent), os.environ["PATH"]]
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env={"PATH": programs, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


def kubectl(folder: Path, artifacts: Path) -> None:
    """Write a `kubectl` whose `exec` runs the command locally, on the local copy of the volume."""
    skip = 'while [ "$1" != "--" ]; do shift; done; shift'
    script = f'#!/usr/bin/env bash\n{skip}\nexec "${{@/#\\/var\\/lib\\/mlflow/{artifacts}}}"\n'
    file = folder / "kubectl"
    file.write_text(script)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


@pytest.fixture(scope="module")
def bucket_store() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def read(mlflow: Mlflow, alpha: Target) -> Any:
    """What a team sees of its model, and its files as the proxy hands them out."""
    with mlflow.machine("alpha") as client:
        model = client.get("/api/2.0/mlflow/registered-models/get", params={"name": alpha.name}).json()
        versions = client.get("/api/2.0/mlflow/model-versions/search").json()
        run_ = client.get("/api/2.0/mlflow/runs/get", params={"run_id": alpha.run}).json()
        file = client.get(f"/api/2.0/mlflow-artifacts/artifacts/{alpha.artifact}")
    assert file.status_code == 200
    assert model["registered_model"]["name"] == alpha.name
    return model, versions, run_, file.content


def test_a_restored_platform_answers_as_before(
    alpha: Target,
    mlflow: Mlflow,
    mlflow_pod: Pod,
    prefect_pod: Pod,
    postgres: Postgres,
    bucket_store: str,
    tmp_path: Path,
) -> None:
    block, backup = commands(), tmp_path / "backup"
    before = read(mlflow, alpha)
    environment = {
        "BACKUP": str(backup),
        "MLFLOW_DATABASE_URL": postgres.address("mlflow", "postgresql"),
        "PREFECT_DATABASE_URL": postgres.address("prefect", "postgresql"),
    }
    kubectl(tmp_path, mlflow_pod.volume("artifacts"))
    run(block["dump"], tmp_path, environment)
    run(block["pack"], tmp_path, environment)

    # Restore to two new databases; copy files from a volume to a bucket, to a second bucket, and back.
    for name in ("mlflow-restored", "prefect-restored"):
        postgres.make_database(name)
    environment |= {
        "MLFLOW_DATABASE_URL": postgres.address("mlflow-restored", "postgresql"),
        "PREFECT_DATABASE_URL": postgres.address("prefect-restored", "postgresql"),
    }
    run(block["restore"], tmp_path, environment)
    run(block["restore"], tmp_path, environment)  # over what is there, as on a stack that has started once
    volume = tmp_path / "volume"
    volume.mkdir()
    kubectl(tmp_path, volume)
    run(block["unpack"], tmp_path, environment)
    assert files(volume) == files(mlflow_pod.volume("artifacts"))
    store = boto3.client(
        "s3", endpoint_url=bucket_store, aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-1"
    )
    for bucket in ("artifacts", "kept", "restored"):
        store.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for name, content in files(volume).items():
        store.put_object(Bucket="artifacts", Key=f"mlflow/{name}", Body=content)
    for source, target in (
        ("artifacts/mlflow", "kept/today"),
        ("artifacts/mlflow", "kept/today"),
        ("kept/today", "restored/mlflow"),
    ):
        run(block["copy"], tmp_path, {**KEYS, "AWS_ENDPOINT_URL": bucket_store, "SOURCE": source, "TARGET": target})

    graph = mlflow_graph(
        artifacts=S3Access(uri="s3://restored/mlflow", endpoint=bucket_store, region="eu-west-1", secret="object-store")
    )
    secrets = {
        ("mlflow-database", "uri"): postgres.address("mlflow-restored"),
        ("object-store", "access_key_id"): "test",
        ("object-store", "secret_access_key"): "test",
    }
    pod = place(
        graph, graph.one("kubernetes:apps/v1:Deployment", "mlflow"), tmp_path / "pod", secrets=secrets, ports=[5000]
    )
    pod.run("migrate")
    with pod.running("mlflow"):
        restored = Mlflow(f"http://127.0.0.1:{pod.ports[5000]}")
        assert read(restored, alpha) == before
        assert restored.machine("beta").get("/api/2.0/mlflow/runs/get", params={"run_id": alpha.run}).status_code == 403
        uploaded = restored.machine("alpha").put(
            f"/api/2.0/mlflow-artifacts/artifacts/{alpha.experiment}/new.txt", content=b"new"
        )
        assert uploaded.status_code == 200
    assert store.get_object(Bucket="restored", Key=f"mlflow/{alpha.experiment}/new.txt")["Body"].read() == b"new"
    count = "select count(*) from information_schema.tables where table_schema = 'public'"
    assert (
        postgres.run("psql", "prefect-restored", "-tAc", count)
        == postgres.run("psql", "prefect", "-tAc", count)
        != "0\n"
    )


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
