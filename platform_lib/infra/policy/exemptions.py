"""Resources to which a policy rule does not apply, each with the reason."""

from typing import Final

from platform_lib.infra.base.naming import AUTH_NAMESPACE, DATABASE_NAMESPACE, INGRESS_NAMESPACE, MONITORING_NAMESPACE
from platform_lib.infra.policy.definitions import Exemption

EXEMPTIONS: Final[tuple[Exemption, ...]] = (
    *(
        Exemption(policy="networks-are-closed", kind="Namespace", object_name=namespace, reason=reason)
        for namespace, reason in {
            INGRESS_NAMESPACE: "Traefik and cert-manager call the API server, which no policy can select.",
            DATABASE_NAMESPACE: "CloudNativePG calls the API server and serves webhooks; Postgres needs a password.",
            MONITORING_NAMESPACE: "Prometheus reads all namespaces and the API server; its servers have policies.",
        }.items()
    ),
    Exemption(
        policy="routes-need-tls-and-a-login",
        kind="IngressRoute",
        namespace=AUTH_NAMESPACE,
        object_name="login",
        reason="It is the login itself.",
    ),
    Exemption(
        policy="networks-open-to-named-peers",
        kind="NetworkPolicy",
        namespace=INGRESS_NAMESPACE,
        object_name="traefik",
        reason="It is the entry point: everyone may connect to ports 8000 and 8443.",
    ),
    Exemption(
        policy="networks-open-to-named-peers",
        kind="NetworkPolicy",
        namespace=MONITORING_NAMESPACE,
        object_name="monitoring-operator",
        reason="The API server calls the operator's webhook, and no policy can select it. Only this port is open.",
    ),
    Exemption(
        policy="networks-open-to-named-peers",
        kind="NetworkPolicy",
        namespace=MONITORING_NAMESPACE,
        object_name="keda",
        reason="The API server calls KEDA's webhook and metrics server, and no policy can select the API server.",
    ),
)
