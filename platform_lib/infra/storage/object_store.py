"""S3-compatible bucket for artifacts, and the Secret with its keys. Creates no bucket."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.access import S3Access
from platform_lib.infra.base.labels import labels
from platform_lib.infra.base.setting_rules import BUCKET_URI, HTTP_URL, SettingError

SECRET_NAME = "object-store"
"""Name of the Secret with the keys `access_key_id` and `secret_access_key`."""


@dataclass(frozen=True, kw_only=True)
class ObjectStoreArgs:
    """The bucket, and the namespaces that may read its keys."""

    artifacts_uri: str = ""
    """`s3://bucket/prefix`; empty keeps artifacts on a volume."""
    endpoint: str = ""
    """`https://host:port` of a store other than AWS."""
    region: str = ""
    access_key_id: pulumi.Input[str] | None = None
    """None if pods have their own identity."""
    secret_access_key: pulumi.Input[str] | None = None
    namespaces: Sequence[pulumi.Input[str]] = ()
    """Namespaces that get the Secret with the keys."""

    def __post_init__(self) -> None:
        if self.artifacts_uri:
            BUCKET_URI.check("artifacts_uri", self.artifacts_uri)
        if self.endpoint:
            HTTP_URL.check("endpoint", self.endpoint)
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise SettingError(
                "access_key_id and secret_access_key belong together: "
                "give both, or neither if pods have their own identity."
            )


class ObjectStore(pulumi.ComponentResource):
    """Address of a bucket and the Secret with its keys. Teams have no access to it: their clients go through MLflow."""

    uri: str
    """`s3://bucket/prefix`; empty if artifacts are on a volume."""
    secret_name: str
    """Name of the Secret; empty without keys."""

    def __init__(self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:ObjectStore", name, None, opts)
        self.uri = args.artifacts_uri.rstrip("/")
        has_keys = bool(self.uri) and args.access_key_id is not None
        self.secret_name = SECRET_NAME if has_keys else ""
        for index, namespace in enumerate(args.namespaces if has_keys else ()):
            k8s.core.v1.Secret(
                f"{name}-{namespace}" if isinstance(namespace, str) else f"{name}-{index}",
                metadata={"name": SECRET_NAME, "namespace": namespace, "labels": labels(SECRET_NAME, "credential")},
                string_data={"access_key_id": args.access_key_id, "secret_access_key": args.secret_access_key},
                opts=pulumi.ResourceOptions(parent=self),
            )
        self._endpoint, self._region = args.endpoint, args.region
        self.register_outputs({"uri": self.uri, "secret_name": self.secret_name})

    def access(self) -> S3Access | None:
        """How a service with the Secret reaches the bucket; None for a volume."""
        if not self.uri:
            return None
        return S3Access(uri=self.uri, endpoint=self._endpoint, region=self._region, secret=self.secret_name)
