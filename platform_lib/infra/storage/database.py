"""The platform's Postgres: a cluster of CloudNativePG in Kubernetes, or databases elsewhere by their URLs. Backups are `docs/platform`'s."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.access import DatabaseAccess
from platform_lib.infra.base.labels import labels
from platform_lib.infra.base.naming import DATABASE_NAMESPACE
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.setting_rules import Rule, is_url
from platform_lib.infra.base.sizing import resources, storage_gib
from platform_lib.infra.base.versions import CHARTS, image, mirrored
from platform_lib.infra.kubernetes.helm_service import HelmService, HelmServiceArgs
from platform_lib.infra.kubernetes.secret_store import Credential, CredentialArgs

DATABASES = ("mlflow", "prefect")
"""One each, with an owner of the same name: neither service can read the other's."""
CLUSTER_NAME = "postgres"
PORT = 5432
OPERATOR_IMAGE = "ghcr.io/cloudnative-pg/cloudnative-pg"


def _is_database_url(url: str) -> bool:
    return is_url(url, "postgresql", "postgres") and bool(urlsplit(url).username) and len(urlsplit(url).path) > 1


DATABASE_URL_FORM = "postgresql://user:password@host:5432/name?sslmode=require"
DATABASE_URL = Rule(_is_database_url, f"give {DATABASE_URL_FORM}")
"""Of a database outside the cluster; holds a password."""


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """In the cluster, or elsewhere."""

    urls: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """`postgresql://user:password@host:port/name` of each of `DATABASES`; empty makes a Postgres in the cluster."""
    namespace: pulumi.Input[str] = DATABASE_NAMESPACE
    port: int = PORT
    """Of the databases at `urls`."""
    secret_namespaces: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Database → namespace of the service that connects; it gets a Secret there with the key `uri`."""
    extra_databases: Sequence[str] = ()
    """Databases besides `DATABASES`, with an owner of the same name that makes its own database at its first start."""
    placement: Placement = field(default_factory=Placement)

    def __post_init__(self) -> None:
        if self.urls and set(self.urls) != {*DATABASES, *self.extra_databases}:
            raise ValueError(
                f"urls has {', '.join(sorted(self.urls))}: give one for each of {', '.join([*DATABASES, *self.extra_databases])}, or none."
            )
        for name, url in self.urls.items():
            if isinstance(url, str):
                DATABASE_URL.check(f"{name}_database_url", url, is_secret=True)


def asyncpg_url(url: str) -> str:
    """The same URL as Prefect's driver spells it: `postgresql+asyncpg://…`, and `ssl` for `sslmode`."""
    return f"postgresql+asyncpg://{url.split('://', 1)[1].replace('sslmode=', 'ssl=')}"


class Database(pulumi.ComponentResource):
    """A Postgres database for MLflow and one for Prefect."""

    secrets: dict[str, pulumi.Output[str]]
    """Name of the Secret with the key `uri`, `postgresql://…`, of each database; another name when the password changes, so that pods roll."""
    namespace: str
    """Where it runs; empty for one elsewhere."""
    ready: list[Any]
    """What a service that connects has to wait for."""

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:Database", name, None, opts)
        self.ready = []
        self._port = args.port if args.urls else PORT
        if args.urls:
            self.namespace = ""
            urls = {database: pulumi.Output.secret(url) for database, url in args.urls.items()}
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
                # It is there when the database is: whoever waits for the Secret's name waits for both.
                opts=pulumi.ResourceOptions(parent=self, depends_on=self.ready),
            )
            self.secrets[database] = secret.metadata["name"]
        self.register_outputs({"secrets": self.secrets, "namespace": self.namespace})

    def access(self, database: str) -> DatabaseAccess:
        """How the service of a database reaches it."""
        return DatabaseAccess(secret=self.secrets[database], port=self._port, namespace=self.namespace)

    def _in_cluster(self, name: str, args: DatabaseArgs) -> dict[str, pulumi.Output[str]]:
        operator = HelmService(
            f"{name}-operator",
            HelmServiceArgs(
                chart=CHARTS["cloudnative-pg"],
                namespace=args.namespace,
                values={
                    "image": {"repository": mirrored(OPERATOR_IMAGE, args.placement.mirrors)},
                    "resources": resources("alertmanager", args.placement.size).requirements,
                },
                mirrors=args.placement.mirrors,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        owners = {
            database: Credential(
                f"{name}-{database}",
                CredentialArgs(
                    username=database,
                    secret_name=f"{CLUSTER_NAME}-{database}",
                    namespaces=[args.namespace],
                    type="kubernetes.io/basic-auth",
                ),
                pulumi.ResourceOptions(parent=self),
            )
            for database in (*DATABASES, *args.extra_databases)
        }
        cluster = k8s.apiextensions.CustomResource(
            name,
            api_version="postgresql.cnpg.io/v1",
            kind="Cluster",
            metadata={"name": CLUSTER_NAME, "namespace": args.namespace, "labels": labels(CLUSTER_NAME, "database")},
            spec=cluster_spec(args),
            # Who wants to lose the data has to say so twice: `pulumi state unprotect`, then destroy.
            opts=pulumi.ResourceOptions(parent=self, protect=True, depends_on=[operator.release, *owners.values()]),
        )
        self.ready = [cluster]
        host = f"{CLUSTER_NAME}-rw.{DATABASE_NAMESPACE}"
        return {
            database: pulumi.Output.concat(
                f"postgresql://{database}:", owner.password, f"@{host}:{PORT}/{database}?sslmode=require"
            )
            for database, owner in owners.items()
        }


def cluster_spec(args: DatabaseArgs) -> dict[str, Any]:
    """Spec of CloudNativePG's Cluster: owners' passwords come from their Secrets, the superuser has none."""
    size = resources("postgres", args.placement.size)
    storage: dict[str, Any] = {"size": f"{storage_gib('postgres', args.placement.size)}Gi"}
    if args.placement.storage_class:
        storage["storageClass"] = args.placement.storage_class
    first, *others = DATABASES
    statements = [
        text for name in others for text in (f"CREATE ROLE {name} LOGIN", f"CREATE DATABASE {name} OWNER {name}")
    ]
    return {
        "instances": size.replicas,
        "imageName": image("postgres", args.placement.mirrors),
        "bootstrap": {
            "initdb": {
                "database": first,
                "owner": first,
                "secret": {"name": f"{CLUSTER_NAME}-{first}"},
                "dataChecksums": True,
                "postInitSQL": [*statements, *(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC" for name in others)],
            }
        },
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
        "storage": storage,
        "resources": size.requirements,
        "primaryUpdateStrategy": "unsupervised",
    }
