"""Traefik, the login, and a route to each user interface."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from infra_stack.config import StackConfig
from infra_stack.pairs import pairs
from infra_stack.services import ServiceCredentials
from platform_lib.infra.base import naming
from platform_lib.infra.base.addresses import Destination
from platform_lib.infra.base.pod_settings import by_key
from platform_lib.infra.edge.ingress import Ingress, IngressArgs
from platform_lib.infra.edge.login import Login, LoginArgs
from platform_lib.infra.edge.tls import EdgeCertificates, EdgeCertificatesArgs
from platform_lib.infra.edge.ui_route import BUILT_IN_SECRET, BUILT_IN_USER, UiRoute, UiRouteArgs
from platform_lib.infra.kubernetes.secret_store import Credential, CredentialArgs
from platform_lib.infra.monitoring.observability import GRAFANA_SERVICE
from platform_lib.names import Port

SERVICES = {  # host → (namespace, Service, port)
    "mlflow": (naming.MLFLOW_NAMESPACE, "mlflow", int(Port.MLFLOW)),
    "prefect": (naming.PREFECT_NAMESPACE, "prefect-server", int(Port.PREFECT)),
    "grafana": (naming.MONITORING_NAMESPACE, *GRAFANA_SERVICE),
}


def services(teams: Sequence[str]) -> dict[str, tuple[str, str, int]]:
    """Host → (namespace, Service, port) of the platform's user interfaces and of each team's Prefect."""
    own = {
        naming.prefect_host(team): (naming.prefect_namespace(team), "prefect-server", int(Port.PREFECT))
        for team in teams
    }
    return {**SERVICES, **own}


def platform_egress(config: StackConfig) -> dict[str, list[Destination]]:
    """Namespace → more destinations of its pods, from the setting `egress`."""
    prefect = config.destinations("prefect")
    return {
        naming.AUTH_NAMESPACE: config.destinations("login"),
        naming.MLFLOW_NAMESPACE: config.destinations("mlflow"),
        naming.PREFECT_NAMESPACE: prefect,
        **{naming.prefect_namespace(team): prefect for team in config.teams},
    }


def make_edge(
    config: StackConfig, space: pulumi.Output[str], opts: pulumi.ResourceOptions
) -> tuple[Ingress, EdgeCertificates]:
    """Create Traefik and the certificate for every host."""
    tls = EdgeCertificatesArgs(
        namespace=space,
        domain=config.domain,
        issuer=config.certificate_issuer,
        acme_email=config.acme_email,
        acme_server=config.acme_server,
        dns_solver=config.dns_solver,
        dns_token=config.acme_dns_token,
        cluster_issuer=config.cluster_issuer,
        certificate=config.certificate,
        certificate_key=config.certificate_key,
        ingress_class=config.ingress_class,
        has_manager=config.existing.cert_manager,
        placement=config.placement,
        teams=config.teams,
    )
    certificates = EdgeCertificates("edge-tls", tls, opts)
    edge = IngressArgs(
        namespace=space,
        service_type=config.service_type,
        service_annotations=by_key("load_balancer_annotations", config.load_balancer_annotations),
        source_ranges=config.load_balancer_sources,
        external_traffic_policy=config.external_traffic_policy,
        proxy_protocol_networks=config.proxy_protocol_networks,
        trusted_proxies=config.trusted_proxies,
        ingress_class=config.ingress_class,
        placement=config.placement,
    )
    return Ingress("edge", edge, opts), certificates


def built_in_login(
    config: StackConfig, spaces: Mapping[str, pulumi.Output[str]], opts: pulumi.ResourceOptions
) -> Credential | None:
    """Create the built-in account; None where people log in with OIDC."""
    if config.oidc_issuer:
        return None
    # Teams' namespaces as plain text: a Secret named after a list index would move when a team is added or removed.
    places = [
        *(spaces[namespace] for namespace, _, _ in SERVICES.values()),
        *map(naming.prefect_namespace, config.teams),
    ]
    account = CredentialArgs(
        username=BUILT_IN_USER, secret_name=BUILT_IN_SECRET, namespaces=places, type="kubernetes.io/basic-auth"
    )
    return Credential("login", account, opts)


def open_user_interfaces(
    config: StackConfig,
    spaces: Mapping[str, pulumi.Output[str]],
    credentials: ServiceCredentials,
    built_in: Credential | None,
    *,
    after: Sequence[Any],
    opts: pulumi.ResourceOptions,
) -> dict[str, UiRoute]:
    """Create the login and the routes.

    Args:
        config: The stack's settings.
        spaces: Namespaces of the platform.
        credentials: By which services recognize requests that passed the login.
        built_in: The built-in account; None with OIDC.
        after: Resources that install Traefik's custom resource definitions.
        opts: Options with the provider.
    Returns:
        Host → route of that user interface.
    """
    front: Any = built_in
    if built_in is None:
        assert config.oidc_client_secret is not None  # StackConfig has checked it
        login = LoginArgs(
            namespace=spaces[naming.AUTH_NAMESPACE],
            domain=config.domain,
            issuer=config.oidc_issuer,
            client_id=config.oidc_client_id,
            client_secret=config.oidc_client_secret,
            edge_password=credentials.edge_password,
            groups_claim=config.oidc_groups_claim,
            scopes=config.oidc_scopes,
            email_claim=config.oidc_email_claim,
            allows_unverified_email=config.oidc_unverified_email,
            logout_url=config.oidc_logout_url,
            refresh_minutes=config.oidc_refresh_minutes,
            email_domains=config.email_domains,
            email_addresses=config.email_addresses,
            ui_hosts=[naming.host(name, config.domain) for name in services(config.teams)],
            placement=config.placement,
            depends_on=after,
        )
        front = Login("login", login, opts)
    own = {naming.prefect_host(team): [*groups, *config.admin_groups] for team, groups in config.groups.items()}
    groups = {**pairs(config.ui_groups), **own}
    routes = {}
    for name, (namespace, service, port) in services(config.teams).items():
        args = UiRouteArgs(
            namespace=spaces[namespace],
            host=naming.host(name, config.domain),
            service=service,
            port=port,
            has_oidc=built_in is None,
            groups=groups.get(name, []),
            built_in_groups=config.admin_groups,
            credentials=credentials.logins.get(name),
            passes_login=name == "mlflow",
            depends_on=[*after, front],  # its password has to be there before routes rely on it
        )
        routes[name] = UiRoute(f"{name}-ui", args, opts)
    return routes
