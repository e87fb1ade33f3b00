"""Names that more than one part of the platform has to agree on, within the limits of the systems that hold them. Makes no resource."""

import hashlib
import re
from typing import Final

from platform_lib.infra.base.setting_rules import Rule
from platform_lib.names import Port

PLATFORM: Final = "cloud-ml-platform"
"""Value of `app.kubernetes.io/part-of` on everything that the platform makes."""

DNS_LABEL_LIMIT: Final = 63
"""Longest name of a namespace, Service or host part (RFC 1123), and longest value of a label."""

INGRESS_NAMESPACE: Final = "mlp-ingress"
AUTH_NAMESPACE: Final = "mlp-auth"
MLFLOW_NAMESPACE: Final = "mlp-mlflow"
PREFECT_NAMESPACE: Final = "mlp-prefect"
MONITORING_NAMESPACE: Final = "mlp-monitoring"
DATABASE_NAMESPACE: Final = "mlp-database"
PLATFORM_NAMESPACES: Final = (
    INGRESS_NAMESPACE,
    AUTH_NAMESPACE,
    MLFLOW_NAMESPACE,
    PREFECT_NAMESPACE,
    MONITORING_NAMESPACE,
    DATABASE_NAMESPACE,
)
TEAM_PREFECTS: Final = f"{PREFECT_NAMESPACE}-.+"
"""Namespaces of the teams' own Prefects, as a pattern of PromQL: a team more changes no alert and no dashboard."""
TEAM_PREFIX: Final = "team-"
CLUSTER_ISSUER: Final = "platform"

UI_HOSTS: Final = ("mlflow", "prefect", "grafana")
"""Host names, before the domain, of the user interfaces: each is behind the login."""
LOGIN_HOST: Final = "auth"
MODELS_HOST: Final = "models"

MLFLOW_URL: Final = f"http://mlflow.{MLFLOW_NAMESPACE}:{Port.MLFLOW}"
PREFECT_API_URL: Final = f"http://prefect-server.{PREFECT_NAMESPACE}:{Port.PREFECT}/api"

RESERVED_TEAMS: Final = ("metrics", "platform-admin")
"""Users of MLflow that belong to the platform."""
TEAM: Final = Rule(
    lambda name: re.fullmatch(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", name) is not None and name not in RESERVED_TEAMS,
    f"use 1-40 lowercase letters, digits and dashes, starting with a letter, such as churn; {' and '.join(RESERVED_TEAMS)} belong to the platform",
)


def team_namespace(team: str) -> str:
    """The namespace of a team.

    Raises:
        SettingError: The name does not fit into namespaces, users and host paths.
    """
    TEAM.check("the team name", team)
    return f"{TEAM_PREFIX}{team}"


def prefect_namespace(team: str) -> str:
    """Where a team's own Prefect runs.

    Raises:
        SettingError: As `team_namespace`.
    """
    team_namespace(team)
    return f"{PREFECT_NAMESPACE}-{team}"


def is_platform_namespace(name: str) -> bool:
    """Whether a namespace is the platform's own; that of a team's own Prefect is."""
    return name in PLATFORM_NAMESPACES or name.startswith(f"{PREFECT_NAMESPACE}-")


def prefect_host(team: str) -> str:
    """Host name, before the domain, of a team's own Prefect."""
    return f"prefect-{team}"


def prefect_api_url(team: str) -> str:
    """Of a team's own Prefect, inside the cluster."""
    return f"http://prefect-server.{prefect_namespace(team)}:{Port.PREFECT}/api"


def host(service: str, domain: str) -> str:
    """The host name of a service: one each, no path prefixes."""
    return f"{service}.{domain}"


def short(name: str, limit: int = DNS_LABEL_LIMIT) -> str:
    """The name, cut to a limit with a hash of the whole so that two long names stay two; a name that fits is not changed."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: limit - 9].rstrip('-')}-{digest}"
