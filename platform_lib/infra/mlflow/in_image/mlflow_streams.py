"""Artifacts of a bucket pass through the server in pieces. The module does not import `platform_lib`.

MLflow writes a whole file to /tmp before it passes it on, to the bucket and from it: one file larger than the pod's
scratch space, or several at once, and Kubernetes evicts the server of every team. Here a transfer takes the memory of
some pieces and no disk, whatever the file's size.
"""

import asyncio
import posixpath
from collections.abc import AsyncIterable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST
from mlflow.store.artifact.artifact_repo import StreamUploadMixin
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

LARGEST_COPY = 256 * 2**20
"""Bytes of a file that the server copies to its disk to read it itself, such as the data of a trace."""
_PIECE = 8 * 2**20  # 10,000 pieces of an upload are the most that S3 takes: 78 GiB
_UPLOADS = ThreadPoolExecutor(8, "upload")  # each holds one piece and a buffer; more wait for their turn


class TooLarge(MlflowException):
    """A file that the server does not copy to its disk."""

    def get_http_status_code(self) -> int:
        """The status that tells a client so."""
        return 413


class StreamedS3(StreamUploadMixin, S3ArtifactRepository):
    """MLflow's store of artifacts in S3, without copies on the server's disk."""

    def log_artifact_from_stream(
        self, stream: BinaryIO, artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        """Upload what a stream holds. A stream that fails leaves nothing in the bucket."""
        from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped]
        from mlflow.utils.mime_type_utils import _guess_mime_type

        bucket, key = self._place(posixpath.join(artifact_path or "", posixpath.basename(artifact_file_name)))
        more = {"ContentType": _guess_mime_type(key), **self._bucket_owner_params}
        self._get_s3_client().upload_fileobj(
            stream,
            bucket,
            key,
            ExtraArgs={**more, **(self.get_s3_file_upload_extra_args() or {})},
            Config=TransferConfig(multipart_threshold=_PIECE, multipart_chunksize=_PIECE, use_threads=False),
        )

    async def log_artifact_from_async_stream(
        self, chunks: AsyncIterable[bytes], artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        """Upload the body of a request while it arrives."""
        loop = asyncio.get_running_loop()
        stream: Any = _Body(chunks, loop)
        await loop.run_in_executor(_UPLOADS, self.log_artifact_from_stream, stream, artifact_file_name, artifact_path)

    def read(self, path: str) -> tuple[Iterator[bytes], int]:
        """Return the pieces of a file, and its size in bytes.

        Raises:
            MlflowException: There is no such file, or the store refuses it.
        """
        from botocore.exceptions import ClientError  # type: ignore[import-untyped]

        bucket, key = self._place(path)
        try:
            found = self._get_s3_client().get_object(Bucket=bucket, Key=key, **self._bucket_owner_params)
        except ClientError as err:
            missing = err.response["ResponseMetadata"]["HTTPStatusCode"] == 404
            code = RESOURCE_DOES_NOT_EXIST if missing else INTERNAL_ERROR
            raise MlflowException(f"No artifact {path!r}: {err.response['Error']['Message']}", code) from err
        return found["Body"].iter_chunks(2**20), int(found["ContentLength"])

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Copy a small file, or a folder of small files, to the server's disk.

        Raises:
            TooLarge: It is one large file. In a folder, MLflow puts the message into one of its own, with status 500.
        """
        self._check_size(artifact_path)
        return super().download_artifacts(artifact_path, dst_path, *args, **kwargs)

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._check_size(remote_file_path)
        super()._download_file(remote_file_path, local_path)

    def _check_size(self, path: str) -> None:
        from botocore.exceptions import ClientError  # type: ignore[import-untyped]

        bucket, key = self._place(path)
        try:
            size = self._get_s3_client().head_object(Bucket=bucket, Key=key, **self._bucket_owner_params)[
                "ContentLength"
            ]
        except ClientError:
            return  # a folder, or nothing
        if size > LARGEST_COPY:
            raise TooLarge(
                f"{path} has {size} bytes, and this server reads files up to {LARGEST_COPY} itself: "
                "download it with `mlflow artifacts download`.",
                INVALID_PARAMETER_VALUE,
            )

    def _place(self, path: str) -> tuple[str, str]:
        bucket, root = self.parse_s3_compliant_uri(self.artifact_uri)
        return bucket, posixpath.join(root, path)


class _Body:
    """The body of a request as a file, for another thread than the one that receives it."""

    def __init__(self, chunks: AsyncIterable[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._chunks, self._loop, self._left, self._ended = aiter(chunks), loop, b"", False

    def read(self, size: int = -1) -> bytes:
        """Return this many bytes, fewer only at the end."""
        parts, have = [self._left], len(self._left)
        while not self._ended and (size < 0 or have < size):
            chunk = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            self._ended = chunk is None
            parts.append(chunk or b"")
            have += len(parts[-1])
        whole = b"".join(parts)
        cut = len(whole) if size < 0 else size
        self._left = whole[cut:]
        return whole[:cut]

    def _next(self) -> Coroutine[Any, Any, bytes | None]:
        async def received() -> bytes | None:
            return await anext(self._chunks, None)

        return received()


def install(application: Any) -> None:
    """Let MLflow's uploads stream, and its downloads: those of clients (FastAPI), and those of pages (Flask)."""
    from fastapi.routing import APIRoute
    from mlflow.server import artifact_router, handlers
    from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry

    _artifact_repository_registry.register("s3", StreamedS3)
    own = handlers._send_artifact  # noqa: SLF001

    def send_artifact(repository: Any, path: str) -> Any:
        from flask import Response

        if not isinstance(repository, StreamedS3):
            return own(repository, path)
        pieces, size = repository.read(path)
        return Response(pieces, headers=_headers(path, size))

    async def download(artifact_path: str) -> Any:
        from fastapi.responses import JSONResponse, StreamingResponse
        from mlflow.utils.uri import validate_path_is_safe

        repository = artifact_router._get_artifact_repo()  # noqa: SLF001
        if not isinstance(repository, StreamedS3):
            return await artifact_router.download_artifact(artifact_path)
        try:
            path = artifact_router._get_workspace_scoped_path(validate_path_is_safe(artifact_path))  # noqa: SLF001
            pieces, size = await asyncio.to_thread(repository.read, path)
        except MlflowException as err:
            return JSONResponse(
                status_code=err.get_http_status_code(), content={"error_code": err.error_code, "message": err.message}
            )
        return StreamingResponse(pieces, headers=_headers(path, size))

    handlers._send_artifact = send_artifact  # noqa: SLF001
    for prefix in ("/api", "/ajax-api"):
        path = f"{prefix}/2.0/mlflow-artifacts/artifacts/{{artifact_path:path}}"
        application.router.routes.insert(0, APIRoute(path, download, methods=["GET"]))


def _headers(path: str, size: int) -> dict[str, str]:
    from mlflow.server.handlers import _content_disposition_attachment
    from mlflow.utils.mime_type_utils import _guess_mime_type

    name = posixpath.basename(path)
    return {
        "Content-Type": _guess_mime_type(name),
        "Content-Length": str(size),  # so that a client notices a transfer that ends early
        "Content-Disposition": _content_disposition_attachment(name),
        "X-Content-Type-Options": "nosniff",
    }
