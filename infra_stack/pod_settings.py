"""Settings about the platform's pods, their volumes and the load balancer in front of them."""

from dataclasses import dataclass
from typing import Annotated

from infra_stack.cluster_settings import SecretTexts
from infra_stack.pairs import pair
from platform_lib.infra.base import setting_rules as rules
from platform_lib.infra.base.naming import TEAM_PREFIX
from platform_lib.infra.base.pod_settings import (
    ANNOTATION,
    IMAGE_PULL_SECRET,
    NODE_LABEL,
    TOLERATION,
    PodSettings,
    by_key,
)
from platform_lib.infra.base.setting_rules import Rule, SettingError
from platform_lib.infra.base.sizing import STORAGE_GIB
from platform_lib.infra.edge.ingress import EXTERNAL_TRAFFIC

ACCOUNTS = ("mlflow", "postgres")
"""Service accounts that an entry of `service_account_annotations` may name, besides `team-NAME`."""


def _is_volume(entry: str) -> bool:
    part, _, gib = (text.strip() for text in entry.partition("="))
    # Prometheus fills four fifths of its volume.
    return part in STORAGE_GIB and gib.isdecimal() and int(gib) >= (2 if part == "prometheus" else 1)


PULL_LOGIN = rules.matching(r"[^\s:]+:[^\r\n]+", "give USER:PASSWORD")
VOLUME = Rule(
    _is_volume, f"write PART=GIB, such as artifacts=200; the parts are {', '.join(STORAGE_GIB)} (prometheus: 2 or more)"
)


@dataclass(frozen=True, kw_only=True)
class PodConfig:
    """One field per key of Pulumi.yaml, with the rule for its value."""

    node_selector: Annotated[tuple[str, ...], NODE_LABEL]
    tolerations: Annotated[tuple[str, ...], TOLERATION]
    pod_annotations: Annotated[tuple[str, ...], ANNOTATION]
    image_pull_secrets: Annotated[tuple[str, ...], rules.KUBERNETES_NAME]
    image_pull_logins: Annotated[SecretTexts, pair(PULL_LOGIN, "REGISTRY=USER:PASSWORD")]
    service_account_annotations: Annotated[tuple[str, ...], pair(ANNOTATION, "PODS=KEY=VALUE")]
    volume_gib: Annotated[tuple[str, ...], VOLUME]
    load_balancer_annotations: Annotated[tuple[str, ...], ANNOTATION]
    load_balancer_sources: Annotated[tuple[str, ...], rules.ADDRESSES]
    external_traffic_policy: Annotated[str, EXTERNAL_TRAFFIC]
    proxy_protocol_networks: Annotated[tuple[str, ...], rules.NETWORK]

    @property
    def pods(self) -> PodSettings:
        """What the platform's pods have in common."""
        return PodSettings.of(
            node_selector=self.node_selector,
            tolerations=self.tolerations,
            pod_annotations=self.pod_annotations,
            image_pull_secrets=self.pull_secrets,
        )

    @property
    def pull_secrets(self) -> list[str]:
        """Names of Secrets with the login to a registry, in every namespace."""
        own = [IMAGE_PULL_SECRET] if self.image_pull_logins else []
        return [*own, *self.image_pull_secrets]

    @property
    def volumes_gib(self) -> dict[str, int]:
        """Part → size of its volume."""
        return {part.strip(): int(gib) for part, gib in by_key("volume_gib", self.volume_gib).items()}

    def account_annotations(self, account: str) -> dict[str, str]:
        """Return the annotations of one service account: `mlflow`, `postgres` or `team-NAME`."""
        found = (entry.partition("=") for entry in self.service_account_annotations)
        return by_key(
            "service_account_annotations", [text.strip() for name, _, text in found if name.strip() == account]
        )

    def check_pods(self, teams: tuple[str, ...]) -> None:
        """Check these settings against each other.

        Args:
            teams: Names of the teams.
        Raises:
            SettingError: An entry names no service account, or two entries contradict each other.
        """
        known = (*ACCOUNTS, *(f"{TEAM_PREFIX}{team}" for team in teams))
        for index, entry in enumerate(self.service_account_annotations):
            name = entry.partition("=")[0].strip()
            if name not in known:
                raise SettingError(
                    f"service_account_annotations[{index}] names {name}: the service accounts are {', '.join(known)}."
                )
            self.account_annotations(name)
        by_key("load_balancer_annotations", self.load_balancer_annotations)
        _ = self.pods, self.volumes_gib
