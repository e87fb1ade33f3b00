"""Postgres, the bucket, MLflow, the stack's own Prefect and one Prefect per team."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra_stack.config import StackConfig
from platform_lib.infra.base import naming
from platform_lib.infra.kubernetes.secret_store import Credential, CredentialArgs
from platform_lib.infra.mlflow.server import MlflowServer, MlflowServerArgs
from platform_lib.infra.prefect.server import USER as PREFECT_USER
from platform_lib.infra.prefect.server import PrefectServer, PrefectServerArgs
from platform_lib.infra.storage.database import Database, DatabaseArgs
from platform_lib.infra.storage.object_store import ObjectStore
from platform_lib.infra.team.team import Team

EDGE_USER = "edge"


@dataclass(frozen=True, kw_only=True)
class ServiceCredentials:
    """How services recognize requests that passed the login."""

    edge_password: pulumi.Output[str]
    """That the login sends with each person's name; MLflow knows its hash."""
    logins: Mapping[str, tuple[str, pulumi.Output[str]]]
    """Host → user and password that the service asks for; in Traefik's configuration."""


def make_services(
    config: StackConfig,
    spaces: Mapping[str, pulumi.Output[str]],
    teams: Mapping[str, Team],
    built_in: Credential | None,
    *,
    after: pulumi.ResourceOptions,
) -> ServiceCredentials:
    """Create the services.

    Args:
        config: The stack's settings.
        spaces: Namespaces of the platform.
        teams: By name. Each gets credentials for MLflow and its own Prefect.
        built_in: The account that people log in with; None with OIDC.
        after: Options with the provider and what must exist first: namespaces and definitions of monitors.
    """
    mlflow_space, prefect_space = spaces[naming.MLFLOW_NAMESPACE], spaces[naming.PREFECT_NAMESPACE]
    own = {naming.prefect_host(team): spaces[naming.prefect_namespace(team)] for team in teams}
    database = Database(
        "database",
        DatabaseArgs(
            urls=config.database_urls,
            namespace=spaces[naming.DATABASE_NAMESPACE],
            secret_namespaces={"mlflow": mlflow_space, "prefect": prefect_space, **own},
            extra_databases=list(own),
            port=config.database_port,
            has_operator=config.existing.postgres,
            placement=config.placement,
            account_annotations=config.account_annotations("postgres"),
            backup=config.backup(config.s3_endpoint, config.s3_region),
        ),
        after,
    )
    store = ObjectStore("object-store", config.object_store(mlflow_space), after)
    edge = Credential(
        "edge-login", CredentialArgs(username=EDGE_USER, secret_name="edge-login", namespaces=[mlflow_space]), after
    )
    mlflow = MlflowServerArgs(
        ui_host=naming.host("mlflow", config.domain),
        database=database.access("mlflow"),
        team_password_hashes={name: [team.mlflow_password_sha256] for name, team in teams.items()},
        edge_password_hashes=[edge.password_sha256, *([built_in.password_sha256] if built_in else [])],
        group_teams=config.group_teams,
        admin_groups=config.admin_groups,
        ci_password_hashes={name: [team.mlflow_ci_password_sha256] for name, team in teams.items()},
        champion_roles=config.champion_roles,
        name_patterns=config.models if config.mlflow_names == "team-models" else None,
        client_namespaces=[team.namespace for team in teams.values()],
        artifacts=store.access(),
        account_annotations=config.account_annotations("mlflow"),
        placement=config.placement,
    )
    MlflowServer("mlflow", mlflow, after)
    prefect_args = PrefectServerArgs(
        ui_host=naming.host("prefect", config.domain),
        database=database.access("prefect"),
        placement=config.placement,
    )
    prefect = PrefectServer("prefect", prefect_args, after)
    logins = {"prefect": (PREFECT_USER, prefect.password)}
    for name, team in teams.items():
        host = naming.prefect_host(name)
        own_args = PrefectServerArgs(
            ui_host=naming.host(host, config.domain),
            namespace=naming.prefect_namespace(name),
            database=database.access(host),
            former_name="prefect",
            team_namespaces={name: team.namespace},
            train_annotations={name: config.account_annotations(naming.team_namespace(name))},
            placement=config.placement,
        )
        logins[host] = (PREFECT_USER, PrefectServer(f"{host}-server", own_args, after).password)
    return ServiceCredentials(edge_password=edge.password, logins=logins)
