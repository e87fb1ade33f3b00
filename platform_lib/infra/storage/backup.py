"""Backups of the Postgres in the cluster to a bucket, and recovery from one, in CloudNativePG's terms.

A base backup on a schedule and every finished piece of the write-ahead log (at least every five minutes) go to the
bucket. A new Postgres can start from them as of any moment in between.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.labels import labels
from platform_lib.infra.base.setting_rules import (
    BUCKET_URI,
    COUNT,
    HTTP_URL,
    KUBERNETES_NAME,
    Rule,
    SettingError,
    matching,
)

SECRET: Final = "postgres-backup"
"""Secret with the keys `access_key_id`, `secret_access_key` and `region`, and `ca.crt` if a CA bundle is set."""
SOURCE: Final = "backup"
"""Name of the backup that a recovery reads, within the Cluster's spec."""
_FIELD = r"[0-9*/,-]+"
SCHEDULE: Final = matching(
    rf"{_FIELD}( {_FIELD}){{4}}", "give a cron expression with five fields, in UTC, such as 0 2 * * * for two at night"
)


def _is_time(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None and re.search("[T ]", value) is not None
    except ValueError:
        return False


TIME: Final = Rule(_is_time, "give a time with its zone, such as 2026-11-30T08:15:00+00:00")


@dataclass(frozen=True, kw_only=True)
class BackupArgs:
    """Where backups go, how often, and which one a new Postgres starts from."""

    uri: str
    """`s3://bucket/prefix`."""
    keys: pulumi.Input[str] | None = None
    """`ACCESS_KEY_ID:SECRET_ACCESS_KEY` (secret); None if Postgres' pods have an identity of the cloud."""
    endpoint: str = ""
    """`https://host:port` of a store other than AWS."""
    region: str = ""
    schedule: str = "0 2 * * *"
    """Cron expression with five fields, in UTC, of base backups."""
    retention_days: int = 30
    """How far back a recovery can go."""
    name: str = "postgres"
    """Folder of this Postgres' backups in the bucket. A new Postgres needs a new one."""
    restore_of: str = ""
    """Folder of the backups that a new Postgres starts from; empty starts with empty databases."""
    restore_time: str = ""
    """Moment that it recovers, with its zone; empty recovers everything."""

    def __post_init__(self) -> None:
        BUCKET_URI.check("backup_uri", self.uri)
        if self.endpoint:
            HTTP_URL.check("endpoint", self.endpoint)
        SCHEDULE.check("backup_schedule", self.schedule)
        COUNT.check("backup_retention_days", self.retention_days)
        KUBERNETES_NAME.check("backup_name", self.name)
        if self.restore_of == self.name:
            raise SettingError(
                f"restore_backup_of and backup_name are both {self.name!r}: a new Postgres must not write over the "
                f"backups that it starts from. Set backup_name to a new name, such as {self.name}-2."
            )


def object_store(args: BackupArgs, folder: str, *, has_ca: bool) -> dict[str, Any]:
    """Build a `barmanObjectStore`: the place of the backups of one Postgres.

    Args:
        args: Where backups go.
        folder: Folder of that Postgres.
        has_ca: Whether the store may use a certificate of a private CA.
    """

    def key(name: str) -> dict[str, str]:
        return {"name": SECRET, "key": name}

    keys = {"accessKeyId": key("access_key_id"), "secretAccessKey": key("secret_access_key")}
    credentials: dict[str, Any] = {"inheritFromIAMRole": True} if args.keys is None else keys
    if args.region:
        credentials["region"] = key("region")
    return {
        "destinationPath": args.uri.rstrip("/"),
        "serverName": folder,
        "s3Credentials": credentials,
        "wal": {"compression": "gzip"},
        "data": {"compression": "gzip"},
        **({"endpointURL": args.endpoint} if args.endpoint else {}),
        **({"endpointCA": key("ca.crt")} if has_ca else {}),
    }


def backup_spec(args: BackupArgs, *, has_ca: bool) -> dict[str, Any]:
    """Build the field `backup` of a Cluster."""
    return {
        "barmanObjectStore": object_store(args, args.name, has_ca=has_ca),
        "retentionPolicy": f"{args.retention_days}d",
    }


def recovery_spec(args: BackupArgs, database: str, secret: str, *, has_ca: bool) -> dict[str, Any]:
    """Build the fields of a Cluster that starts from a backup, in place of `bootstrap.initdb`.

    Args:
        args: Which backup, and which moment.
        database: First database; its owner has the same name.
        secret: Secret with the owner's password.
        has_ca: Whether the store may use a certificate of a private CA.
    """
    recovery: dict[str, Any] = {
        "source": SOURCE,
        "database": database,
        "owner": database,
        "secret": {"name": secret},
        **({"recoveryTarget": {"targetTime": args.restore_time}} if args.restore_time else {}),
    }
    external = {"name": SOURCE, "barmanObjectStore": object_store(args, args.restore_of, has_ca=has_ca)}
    return {"bootstrap": {"recovery": recovery}, "externalClusters": [external]}


def create_secret(name: str, namespace: pulumi.Input[str], args: BackupArgs, ca: str, parent: pulumi.Resource) -> Any:
    """Create the Secret that `object_store` names.

    Args:
        name: Name of the Pulumi resource.
        namespace: Namespace of Postgres.
        args: Keys and region.
        ca: PEM text of the CA bundle; empty without one.
        parent: Component that the Secret belongs to.
    """
    data: dict[str, Any] = {**({"region": args.region} if args.region else {}), **({"ca.crt": ca} if ca else {})}
    if args.keys is not None:
        parts = pulumi.Output.secret(args.keys).apply(lambda text: text.split(":", 1))
        data |= {"access_key_id": parts[0], "secret_access_key": parts[1]}
    return k8s.core.v1.Secret(
        name,
        # With the label, CloudNativePG uses changed keys at once.
        metadata={
            "name": SECRET,
            "namespace": namespace,
            "labels": labels(SECRET, "credential", {"cnpg.io/reload": "true"}),
        },
        string_data=data,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def create_schedule(
    name: str, namespace: pulumi.Input[str], args: BackupArgs, cluster: Any, cluster_name: str, parent: pulumi.Resource
) -> None:
    """Create the schedule of base backups, the first of them at once.

    Args:
        name: Name of the Pulumi resource.
        namespace: Namespace of Postgres.
        args: The schedule.
        cluster: The resource of the Cluster.
        cluster_name: Name of the Cluster.
        parent: Component that the schedule belongs to.
    """
    k8s.apiextensions.CustomResource(
        name,
        api_version="postgresql.cnpg.io/v1",
        kind="ScheduledBackup",
        metadata={"name": cluster_name, "namespace": namespace, "labels": labels(cluster_name, "backup")},
        spec={
            "schedule": f"0 {args.schedule}",  # CloudNativePG's first field is seconds
            "cluster": {"name": cluster_name},
            "method": "barmanObjectStore",
            "immediate": True,
            "backupOwnerReference": "self",
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[cluster]),
    )
