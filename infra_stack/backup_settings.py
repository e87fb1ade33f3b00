"""Settings about backups of the Postgres in the cluster, and a new Postgres that starts from one."""

from dataclasses import dataclass
from typing import Annotated

from infra_stack.cluster_settings import SecretText
from platform_lib.infra.base import setting_rules as rules
from platform_lib.infra.base.setting_rules import SettingError
from platform_lib.infra.storage.backup import SCHEDULE, TIME, BackupArgs
from platform_lib.infra.team.request_log import REQUEST_LOG_KEYS


@dataclass(frozen=True, kw_only=True)
class BackupConfig:
    """One field per key of Pulumi.yaml, with the rule for its value."""

    backup_uri: Annotated[str, rules.BUCKET_URI]
    backup_keys: Annotated[SecretText, REQUEST_LOG_KEYS]
    backup_schedule: Annotated[str, SCHEDULE]
    backup_retention_days: Annotated[int, rules.COUNT]
    backup_name: Annotated[str, rules.KUBERNETES_NAME]
    restore_backup_of: Annotated[str, rules.KUBERNETES_NAME]
    restore_time: Annotated[str, TIME]

    def backup(self, endpoint: str, region: str) -> BackupArgs | None:
        """Return the backups' arguments; None without backups.

        Args:
            endpoint: Address of the store; empty for AWS.
            region: Region of the bucket.
        """
        if not self.backup_uri:
            return None
        return BackupArgs(
            uri=self.backup_uri,
            keys=self.backup_keys,
            endpoint=endpoint,
            region=region,
            schedule=self.backup_schedule,
            retention_days=self.backup_retention_days,
            name=self.backup_name,
            restore_of=self.restore_backup_of,
            restore_time=self.restore_time,
        )

    def check_backup(self, *, has_database_urls: bool) -> None:
        """Check these settings against each other.

        Args:
            has_database_urls: Whether the databases are external.
        Raises:
            SettingError: Two settings contradict each other.
        """
        if self.backup_uri and has_database_urls:
            raise SettingError(
                "backup_uri is set, but the databases are external: remove it, and use the backups of that Postgres."
            )
        given = {"backup_keys": self.backup_keys is not None, "restore_backup_of": bool(self.restore_backup_of)}
        for key, is_set in given.items():
            if is_set and not self.backup_uri:
                raise SettingError(f"{key} is set, but backup_uri is empty: set it to s3://bucket/prefix.")
        if self.restore_time and not self.restore_backup_of:
            raise SettingError(
                "restore_time is set, but restore_backup_of is empty: set it to the backup_name of the lost Postgres."
            )
        self.backup("", "")
