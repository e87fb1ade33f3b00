"""Artifacts of a bucket pass through the shared MLflow without a copy on its disk, whatever their size."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer

from platform_lib.infra.base.access import S3Access
from platform_lib.infra.mlflow.in_image import mlflow_streams
from platform_lib.infra.mlflow.in_image.mlflow_streams import StreamedS3, TooLarge
from tests.infra.services.containers import place
from tests.infra.services.platform import WORKSPACES, Mlflow, mlflow_graph
from tests.infra.services.postgres import Postgres

MIB = 2**20
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-west-1"}
PIECES = 40
"""Of 1 MiB each: more than sockets and the pieces of an upload hold."""


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client(address).create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    yield address
    server.stop()


def client(address: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=address,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="eu-west-1",
    )


@pytest.fixture
def repository(store: str, monkeypatch: pytest.MonkeyPatch) -> StreamedS3:
    for name, value in {**KEYS, "MLFLOW_S3_ENDPOINT_URL": store}.items():
        monkeypatch.setenv(name, value)
    return StreamedS3("s3://models/mlflow")


def piece(number: int) -> bytes:
    return bytes([number % 251]) * MIB


async def pieces(count: int, *, ends: bool = True) -> AsyncIterator[bytes]:
    for number in range(count):
        yield piece(number)
    if not ends:
        raise ConnectionError("the client went away")


def test_a_body_is_uploaded_piece_by_piece_and_read_back(repository: StreamedS3) -> None:
    asyncio.run(repository.log_artifact_from_async_stream(pieces(20), "model.bin", "1/run/artifacts"))
    found, size = repository.read("1/run/artifacts/model.bin")
    assert (b"".join(found), size) == (b"".join(map(piece, range(20))), 20 * MIB)


@pytest.mark.parametrize("count", [0, 1, 17])
def test_an_upload_that_breaks_off_leaves_nothing(repository: StreamedS3, store: str, count: int) -> None:
    with pytest.raises(ConnectionError):
        asyncio.run(repository.log_artifact_from_async_stream(pieces(count, ends=False), f"broken-{count}"))
    assert "Contents" not in client(store).list_objects_v2(Bucket="models", Prefix=f"mlflow/broken-{count}")
    assert "Uploads" not in client(store).list_multipart_uploads(Bucket="models")


def test_a_file_that_the_server_would_copy_to_its_disk_has_a_limit(
    repository: StreamedS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(repository.log_artifact_from_async_stream(pieces(3), "traces.json"))
    assert Path(repository.download_artifacts("traces.json", str(tmp_path))).stat().st_size == 3 * MIB
    monkeypatch.setattr(mlflow_streams, "LARGEST_COPY", 2 * MIB)
    with pytest.raises(TooLarge, match="download it with `mlflow artifacts download`") as caught:
        repository.download_artifacts("traces.json", str(tmp_path))
    assert caught.value.get_http_status_code() == 413


@pytest.mark.slow
@pytest.mark.xdist_group("platform-services")
def test_a_large_file_never_lies_on_the_servers_disk(postgres: Postgres, store: str, tmp_path: Path) -> None:
    postgres.make_database("mlflow-streams")
    graph = mlflow_graph(
        artifacts=S3Access(uri="s3://models/mlflow", endpoint=store, region="eu-west-1", secret="object-store")
    )
    secrets = {
        ("mlflow-database", "uri"): postgres.address("mlflow-streams"),
        ("object-store", "access_key_id"): "test",
        ("object-store", "secret_access_key"): "test",
    }
    deployment = graph.one("kubernetes:apps/v1:Deployment", "mlflow")
    pod = replace(place(graph, deployment, tmp_path / "pod", secrets=secrets, ports=[5000]), more=WORKSPACES)
    pod.run("migrate")
    scratch = pod.volume("tmp")
    on_disk = [used(scratch)]

    def body() -> Iterator[bytes]:
        for number in range(PIECES):
            yield piece(number)
        on_disk.append(used(scratch))

    sent = hashlib.sha256(b"".join(map(piece, range(PIECES)))).hexdigest()
    with pod.running("mlflow"):
        mlflow = Mlflow(f"http://127.0.0.1:{pod.ports[5000]}")
        with mlflow.machine("alpha") as alpha:
            experiment = alpha.post("/api/2.0/mlflow/experiments/create", json={"name": "alpha-large"}).json()
            created = alpha.post("/api/2.0/mlflow/runs/create", json={"experiment_id": experiment["experiment_id"]})
            run = created.json()["run"]["info"]
            path = f"/api/2.0/mlflow-artifacts/artifacts/{experiment['experiment_id']}/{run['run_id']}/artifacts/m.bin"
            page = f"/get-artifact?path=m.bin&run_id={run['run_id']}"
            assert alpha.put(path, content=body()).status_code == 200
            for address in (path, page):
                with alpha.stream("GET", address) as answer:
                    assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(PIECES * MIB))
                    digest = hashlib.sha256()
                    for chunk in answer.iter_bytes():
                        if not digest.digest_size or len(on_disk) < 4:
                            on_disk.append(used(scratch))
                        digest.update(chunk)
                assert digest.hexdigest() == sent
            on_disk.append(used(scratch))
            assert alpha.get(path.replace("m.bin", "none.bin")).status_code == 404
        with mlflow.machine("beta") as beta:
            assert beta.get(path).status_code == 403
    assert max(on_disk) < 4 * MIB, on_disk


def used(folder: Path) -> int:
    """Bytes of the files in a folder, whose names may go while it is read."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue
    return total
