"""Names that several parts of the platform must agree on, within Kubernetes' limits. Creates no resource."""

import hashlib
import re
from typing import Final

from platform_lib.infra.base.setting_rules import Rule
from platform_lib.names import Port

PLATFORM: Final = "cloud-ml-platform"
"""Value of `app.kubernetes.io/part-of` on every object of the platform."""

DNS_LABEL_LIMIT: Final = 63
"""Maximum length of a namespace, Service name, host name part (RFC 1123) or label value."""

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
"""PromQL pattern of the namespaces of the teams' Prefects, so that a new team changes no alert and no dashboard."""
TEAM_PREFIX: Final = "team-"
PROMETHEUS_SERVICE: Final = "kube-prometheus-stack-prometheus"
"""In the monitoring namespace; the chart makes the name."""
CLUSTER_ISSUER: Final = "platform"

UI_HOSTS: Final = ("mlflow", "prefect", "grafana")
"""Host names (before the domain) of the user interfaces, each behind the login."""
LOGIN_HOST: Final = "auth"
MODELS_HOST: Final = "models"

IDENTITY_HEADERS: Final = (
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "X-Auth-Request-Groups",
    "X-Auth-Request-Preferred-Username",
)
"""Headers that the edge sets after the login. Traefik drops them from incoming requests."""
EDGE_MIDDLEWARE: Final = "edge"
"""In every team's namespace, before each of its routes: removes the login's cookie and identity from requests."""

MLFLOW_URL: Final = f"http://mlflow.{MLFLOW_NAMESPACE}:{Port.MLFLOW}"
PREFECT_API_URL: Final = f"http://prefect-server.{PREFECT_NAMESPACE}:{Port.PREFECT}/api"

RESERVED_TEAMS: Final = ("metrics", "platform-admin")
"""Users of MLflow that belong to the platform."""
TEAM: Final = Rule(
    lambda name: re.fullmatch(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", name) is not None and name not in RESERVED_TEAMS,
    "use 1-40 lowercase letters, digits and dashes, starting with a letter, such as churn; "
    f"{' and '.join(RESERVED_TEAMS)} belong to the platform",
)


def team_namespace(team: str) -> str:
    """Return the namespace of a team.

    Raises:
        SettingError: The name does not fit into namespaces, users and host paths.
    """
    TEAM.check("the team name", team)
    return f"{TEAM_PREFIX}{team}"


def prefect_namespace(team: str) -> str:
    """Return the namespace of a team's own Prefect.

    Raises:
        SettingError: As `team_namespace`.
    """
    team_namespace(team)
    return f"{PREFECT_NAMESPACE}-{team}"


def is_platform_namespace(name: str) -> bool:
    """Whether a namespace belongs to the platform; that of a team's own Prefect does."""
    return name in PLATFORM_NAMESPACES or name.startswith(f"{PREFECT_NAMESPACE}-")


def prefect_host(team: str) -> str:
    """Return the host name (before the domain) of a team's own Prefect."""
    return f"prefect-{team}"


def prefect_api_url(team: str) -> str:
    """Return the API address of a team's own Prefect, inside the cluster."""
    return f"http://prefect-server.{prefect_namespace(team)}:{Port.PREFECT}/api"


def host(service: str, domain: str) -> str:
    """Return the host name of a service. Each service has its own host, without a path prefix."""
    return f"{service}.{domain}"


def short(name: str, limit: int = DNS_LABEL_LIMIT) -> str:
    """Shorten a name to a limit. A hash of the full name keeps two long names distinct; a short name stays as it is."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: limit - 9].rstrip('-')}-{digest}"
