"""How a service reaches its database or its bucket. Holds no credentials, only the names of Secrets."""

from dataclasses import dataclass
from typing import Final

import pulumi

from platform_lib.infra.base.setting_rules import BUCKET_URI, HTTP_URL

AWS_URL: Final = "https://amazonaws.com"
"""Stands for every address of AWS: S3 without another endpoint, and where a pod gets the keys of its identity."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseAccess:
    """How a service reaches its Postgres database."""

    secret: pulumi.Input[str]
    """Secret in the service's namespace; its key `uri` holds `postgresql://user:password@host:port/name`, and
    `asyncpg_uri` the same as `postgresql+asyncpg://…`."""
    port: int = 5432
    namespace: pulumi.Input[str] = ""
    """Namespace of a Postgres in the cluster; empty for an external one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Access:
    """How a service reaches a bucket. Holds no keys, only the name of the Secret that does."""

    uri: str
    """`s3://bucket/prefix`."""
    endpoint: str = ""
    """`https://host:port` of a store other than AWS."""
    region: str = ""
    secret: str = ""
    """Secret in the service's namespace with the keys `access_key_id` and `secret_access_key`; empty if pods have
    their own identity."""

    def __post_init__(self) -> None:
        BUCKET_URI.check("uri", self.uri)
        if self.endpoint:
            HTTP_URL.check("endpoint", self.endpoint)
