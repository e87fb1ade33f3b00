"""Postgres for MLflow and Prefect: a CloudNativePG cluster, or external databases given by their URLs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.access import DatabaseAccess
from platform_lib.infra.base.addresses import cluster_namespace
from platform_lib.infra.base.labels import labels
from platform_lib.infra.base.naming import DATABASE_NAMESPACE
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.setting_rules import Rule, is_url
from platform_lib.infra.base.sizing import resources
from platform_lib.infra.base.versions import CHARTS, image, mirrored
from platform_lib.infra.kubernetes.helm_service import HelmService, HelmServiceArgs
from platform_lib.infra.kubernetes.secret_store import Credential, CredentialArgs
from platform_lib.infra.storage.backup import BackupArgs, backup_spec, create_schedule, create_secret, recovery_spec

DATABASES = ("mlflow", "prefect")
"""Databases, each owned by a user of the same name, so that no service can read another's data."""
CLUSTER_NAME = "postgres"
PORT = 5432
OPERATOR_IMAGE = "ghcr.io/cloudnative-pg/cloudnative-pg"


def _is_database_url(url: str) -> bool:
    return is_url(url, "postgresql", "postgres") and bool(urlsplit(url).username) and len(urlsplit(url).path) > 1


DATABASE_URL_FORM = "postgresql://user:password@host:5432/name?sslmode=require"
DATABASE_URL = Rule(_is_database_url, f"give {DATABASE_URL_FORM}")
"""URL of an external database; contains a password."""


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """Where the databases are, and which services connect to them."""

    urls: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """`postgresql://user:password@host:port/name` of each database; empty creates a Postgres in the cluster."""
    namespace: pulumi.Input[str] = DATABASE_NAMESPACE
    port: int = PORT
    """Port of the databases in `urls`."""
    secret_namespaces: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Database → namespace of the service that connects to it and gets a Secret with the key `uri` there."""
    extra_databases: Sequence[str] = ()
    """Databases in addition to `DATABASES`. Their owner creates the database at the first start."""
    has_operator: bool = False
    """Whether the cluster has CloudNativePG already; it is not installed then."""
    placement: Placement = field(default_factory=Placement)
    backup: BackupArgs | None = None
    """Backups of the Postgres in the cluster to a bucket; None makes none."""
    account_annotations: Mapping[str, str] = field(default_factory=dict)
    """Annotations of the service account of Postgres' pods, which give them an identity of the cloud for backups."""

    def __post_init__(self) -> None:
        if self.urls and set(self.urls) != {*DATABASES, *self.extra_databases}:
            raise ValueError(
                f"urls has {', '.join(sorted(self.urls))}: give one for each of "
                f"{', '.join([*DATABASES, *self.extra_databases])}, or none."
            )
        for name, url in self.urls.items():
            if isinstance(url, str):
                DATABASE_URL.check(f"{name}_database_url", url, is_secret=True)


def asyncpg_url(url: str) -> str:
    """Return the URL in the form of Prefect's driver: `postgresql+asyncpg://…`, with `ssl` instead of `sslmode`."""
    return f"postgresql+asyncpg://{url.split('://', 1)[1].replace('sslmode=', 'ssl=')}"


class Database(pulumi.ComponentResource):
    """Postgres databases for MLflow and Prefect."""

    secrets: dict[str, pulumi.Output[str]]
    """Database → name of its Secret with the key `uri`. A new password gives it a new name, which restarts the pods."""
    namespace: str
    """Namespace of the Postgres that this component creates; empty for external databases."""
    ready: list[Any]
    """Resources that a connecting service depends on."""

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:Database", name, None, opts)
        self.ready = []
        self._port = args.port if args.urls else PORT
        self._places: dict[str, pulumi.Output[str]] = {}
        if args.urls:
            self.namespace = ""
            urls = {database: pulumi.Output.secret(url) for database, url in args.urls.items()}
            # Only the name of a namespace leaves the secret: an address block would not match its pods under Cilium.
            self._places = {
                database: pulumi.Output.unsecret(
                    url.apply(lambda text: cluster_namespace(urlsplit(text).hostname or ""))
                )
                for database, url in urls.items()
            }
        else:
            self.namespace = DATABASE_NAMESPACE
            urls = self._in_cluster(name, args)
        self.secrets = {}
        for database, namespace in args.secret_namespaces.items():
            secret = k8s.core.v1.Secret(
                f"{name}-{database}-uri",
                metadata={"namespace": namespace, "labels": labels(database, "database")},
                string_data={
                    "uri": urls[database],
                    "asyncpg_uri": pulumi.Output.from_input(urls[database]).apply(asyncpg_url),
                },
                # Created after the database, so that waiting for the Secret's name waits for both.
                opts=pulumi.ResourceOptions(parent=self, depends_on=self.ready),
            )
            self.secrets[database] = secret.metadata["name"]
        self.register_outputs({"secrets": self.secrets, "namespace": self.namespace})

    def access(self, database: str) -> DatabaseAccess:
        """How the service of a database reaches it."""
        return DatabaseAccess(
            secret=self.secrets[database], port=self._port, namespace=self._places.get(database, self.namespace)
        )

    def _in_cluster(self, name: str, args: DatabaseArgs) -> dict[str, pulumi.Output[str]]:
        operator = [] if args.has_operator else [self._operator(name, args)]
        owners = {
            database: Credential(
                f"{name}-{database}",
                CredentialArgs(
                    username=database,
                    secret_name=f"{CLUSTER_NAME}-{database}",
                    namespaces=[args.namespace],
                    type="kubernetes.io/basic-auth",
                    # Without it, CloudNativePG sets a changed password at some later reconciliation, and new pods,
                    # which get it at once, could not log in until then.
                    more_labels={"cnpg.io/reload": "true"},
                ),
                pulumi.ResourceOptions(parent=self),
            )
            for database in (*DATABASES, *args.extra_databases)
        }
        ca = args.placement.mirrors.ca_bundle
        needs: list[Any] = [*operator, *owners.values()]
        if args.backup is not None:
            needs.append(create_secret(f"{name}-backup", args.namespace, args.backup, ca, self))
        cluster = k8s.apiextensions.CustomResource(
            name,
            api_version="postgresql.cnpg.io/v1",
            kind="Cluster",
            metadata={"name": CLUSTER_NAME, "namespace": args.namespace, "labels": labels(CLUSTER_NAME, "database")},
            spec=cluster_spec(args),
            # Deleting the data takes two steps: `pulumi state unprotect`, then `pulumi destroy`.
            opts=pulumi.ResourceOptions(parent=self, protect=True, depends_on=needs),
        )
        if args.backup is not None:
            create_schedule(f"{name}-schedule", args.namespace, args.backup, cluster, CLUSTER_NAME, self)
        self.ready = [cluster]
        host = f"{CLUSTER_NAME}-rw.{DATABASE_NAMESPACE}"
        return {
            database: pulumi.Output.concat(
                f"postgresql://{database}:", owner.password, f"@{host}:{PORT}/{database}?sslmode=require"
            )
            for database, owner in owners.items()
        }

    def _operator(self, name: str, args: DatabaseArgs) -> Any:
        operator = HelmService(
            f"{name}-operator",
            HelmServiceArgs(
                chart=CHARTS["cloudnative-pg"],
                namespace=args.namespace,
                values={
                    "image": {"repository": mirrored(OPERATOR_IMAGE, args.placement.mirrors)},
                    "resources": resources("alertmanager", args.placement.size).requirements,
                    "podAnnotations": dict(args.placement.pods.annotations),
                    "imagePullSecrets": args.placement.pods.pulls,
                    **args.placement.pods.scheduling(),
                },
                mirrors=args.placement.mirrors,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        return operator.release


def cluster_spec(args: DatabaseArgs) -> dict[str, Any]:
    """Build the spec of a CloudNativePG Cluster. Owners get their passwords from Secrets; the superuser has none."""
    size = resources("postgres", args.placement.size)
    storage: dict[str, Any] = {"size": f"{args.placement.volume_gib('postgres')}Gi"}
    if args.placement.storage_class:
        storage["storageClass"] = args.placement.storage_class
    pods, account = args.placement.pods, args.account_annotations
    first, *others = DATABASES
    statements = [
        text for name in others for text in (f"CREATE ROLE {name} LOGIN", f"CREATE DATABASE {name} OWNER {name}")
    ]
    has_ca = bool(args.placement.mirrors.ca_bundle)
    start: dict[str, Any] = {
        "bootstrap": {
            "initdb": {
                "database": first,
                "owner": first,
                "secret": {"name": f"{CLUSTER_NAME}-{first}"},
                "dataChecksums": True,
                "postInitSQL": [*statements, *(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC" for name in others)],
            }
        }
    }
    if args.backup is not None and args.backup.restore_of:
        start = recovery_spec(args.backup, first, f"{CLUSTER_NAME}-{first}", has_ca=has_ca)
    return {
        "instances": size.replicas,
        "imageName": image("postgres", args.placement.mirrors),
        **start,
        **({"backup": backup_spec(args.backup, has_ca=has_ca)} if args.backup is not None else {}),
        "managed": {
            "roles": [
                {"name": name, "ensure": "present", "login": True, "passwordSecret": {"name": f"{CLUSTER_NAME}-{name}"}}
                for name in others
            ]
            + [
                {
                    "name": name,
                    "ensure": "present",
                    "login": True,
                    "createdb": True,
                    "passwordSecret": {"name": f"{CLUSTER_NAME}-{name}"},
                }
                for name in args.extra_databases
            ]
        },
        "enableSuperuserAccess": False,
        # The budget of a single instance would forbid the drain of its node for ever.
        "enablePDB": size.replicas > 1,
        "storage": storage,
        "resources": size.requirements,
        "primaryUpdateStrategy": "unsupervised",
        **({"affinity": pods.scheduling()} if pods.scheduling() else {}),
        **({"imagePullSecrets": pods.pulls} if pods.pulls else {}),
        **({"inheritedMetadata": {"annotations": dict(pods.annotations)}} if pods.annotations else {}),
        **({"serviceAccountTemplate": {"metadata": {"annotations": dict(account)}}} if account else {}),
    }
