"""Settings about what the cluster has already, and who signs the edge's certificates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import pulumi
import yaml

from platform_lib.infra.base import setting_rules as rules
from platform_lib.infra.base.existing import EXISTING_PARTS, Existing
from platform_lib.infra.base.setting_rules import Rule, SettingError
from platform_lib.infra.edge.tls import DNS_SOLVER, ISSUER

SecretText: TypeAlias = pulumi.Output[str] | None
"""None if the key is empty."""
SecretTexts: TypeAlias = Mapping[str, pulumi.Output[str]]
"""Set as a list of NAME=SECRET entries."""

USE_EXISTING = Rule(
    Existing.accepts,
    f"name a part that the cluster has already: {', '.join(EXISTING_PARTS)} or keda=NAMESPACE",
)


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """One field per key of Pulumi.yaml, with the rule for its value."""

    use_existing: Annotated[tuple[str, ...], USE_EXISTING]
    ingress_class: Annotated[str, rules.KUBERNETES_NAME]
    certificate_issuer: Annotated[Literal["self-signed", "acme", "existing", "own"], ISSUER]
    cluster_issuer: Annotated[str, rules.KUBERNETES_NAME]
    certificate: Annotated[str, rules.PEM]
    certificate_key: Annotated[SecretText, rules.PRIVATE_KEY]
    acme_email: Annotated[str, rules.EMAIL]
    acme_server: Annotated[str, rules.HTTPS_URL]
    acme_dns_solver: Annotated[str, DNS_SOLVER]
    acme_dns_token: Annotated[SecretText, rules.TEXT]

    @property
    def existing(self) -> Existing:
        """Parts that the cluster has, so that the stack does not install them."""
        return Existing.of(self.use_existing)

    @property
    def dns_solver(self) -> dict[str, object]:
        """cert-manager's `dns01` solver; empty without one."""
        return yaml.safe_load(self.acme_dns_solver) if self.acme_dns_solver else {}

    def check_cluster_settings(self, *, scales_on_requests: bool, has_database_urls: bool) -> None:
        """Check these settings against each other.

        Args:
            scales_on_requests: Whether `request_rate_scaling` is on.
            has_database_urls: Whether the databases are external.
        Raises:
            SettingError: Two settings contradict each other.
        """
        existing, issuer = self.existing, self.certificate_issuer
        if issuer == "acme" and not self.acme_email:
            raise SettingError(
                "certificate_issuer is 'acme', but acme_email is empty: give an address for expiry warnings."
            )
        if (issuer == "existing") != bool(self.cluster_issuer):
            raise SettingError(
                f"certificate_issuer is '{issuer}' and cluster_issuer is '{self.cluster_issuer}': for an issuer that "
                "the cluster has, set certificate_issuer to existing and cluster_issuer to its name."
            )
        if issuer == "existing" and not existing.cert_manager:
            raise SettingError(
                "certificate_issuer is 'existing', but use_existing does not name cert-manager: the issuer belongs to "
                "the cluster's cert-manager; add it, `pulumi config set --path 'use_existing[0]' cert-manager`."
            )
        if (issuer == "own") != bool(self.certificate) or (issuer == "own") != (self.certificate_key is not None):
            raise SettingError(
                "certificate_issuer own, certificate and certificate_key belong together: set all three to bring a "
                "certificate, or none."
            )
        if self.acme_dns_solver and issuer != "acme":
            raise SettingError(f"acme_dns_solver is set, but certificate_issuer is '{issuer}': set it to acme.")
        if self.acme_dns_token is not None and not self.acme_dns_solver:
            raise SettingError("acme_dns_token is set, but acme_dns_solver is empty: set the solver that uses it.")
        if existing.keda_namespace and not scales_on_requests:
            raise SettingError("use_existing names keda, but request_rate_scaling is false: set it to true.")
        if existing.postgres and has_database_urls:
            raise SettingError(
                "use_existing names cloudnative-pg, but the databases are external: remove the entry or the URLs."
            )
