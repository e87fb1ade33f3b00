"""Arguments of a model endpoint, and the rules for their values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pulumi

from platform_lib.infra.base import setting_rules as rules
from platform_lib.infra.base.pod_settings import PodSettings
from platform_lib.infra.base.setting_rules import SettingError
from platform_lib.infra.model.alerts import AlertThresholds
from platform_lib.infra.model.scaling import check_replicas
from platform_lib.names import Alias, SharedOutputs

MODEL_NAME = rules.matching(
    r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?",
    "use 1-40 lowercase letters, digits and dashes, starting with a letter, such as churn-model",
)
EXPOSURE = rules.one_of("cluster", "public")
SIGNATURES = rules.one_of("off", "warn", "require")
REQUEST_LOG = rules.one_of("auto", "volume", "off")


@dataclass(frozen=True, kw_only=True)
class ModelEndpointArgs:
    """Settings of a model endpoint."""

    model: str
    """Registered name; also the name of the Deployment and the Service, and part of the address."""
    namespace: str
    """Namespace of the team."""
    image: pulumi.Input[str]
    """The `serve` image, by digest."""
    shared: pulumi.Input[SharedOutputs]
    keys: str
    """Content of `deploy/keys.yaml`: names, scopes and hashes."""
    signers: str = ""
    """Content of `deploy/signing.pub`: the public keys that may sign versions; empty trusts none."""
    signatures: Literal["", "off", "warn", "require"] = ""
    """What the server does with a version that no trusted key signed; empty is `warn` if there are `signers`."""
    version: str = ""
    """Pins a version; empty follows the champion."""
    exposure: Literal["cluster", "public"] = "cluster"
    """`public` adds a route from outside."""
    min_replicas: int = 2
    max_replicas: int = 6
    cpu_target_percent: int = 70
    """Share of the requested CPU above which the autoscaler adds replicas."""
    requests_per_s_per_replica: float | None = None
    """Target request rate per replica; None scales by CPU only. Needs KEDA in the cluster."""
    workers: int = 1
    cpu_request: str = "500m"
    cpu_limit: str = "2"
    memory: str = "1Gi"
    gpus: int = 0
    """GPUs (`nvidia.com/gpu`) per replica."""
    pods: PodSettings = field(default_factory=PodSettings)
    """Nodes, annotations and pull secrets, in addition to the platform's own pull secrets."""
    account_annotations: Mapping[str, str] = field(default_factory=dict)
    """Annotations of the service account, which give the pods an identity of the cloud."""
    rate_limit_per_s: int = 100
    """Limit per client address and Traefik replica."""
    rate_limit_burst: int = 200
    request_log: Literal["auto", "volume", "off"] = "auto"
    """`auto` writes to the platform's bucket if it has one; `volume` writes to a volume that all replicas share."""
    request_log_gib: int = 20
    request_log_storage_class: str = ""
    """StorageClass that supports ReadWriteMany; empty uses the cluster's default class."""
    request_log_secret: str | None = None
    """Secret with the bucket's credentials as environment variables; None if pods have their own identity."""
    oidc_issuer: str = ""
    oidc_audience: str = ""
    cors_allowed_origins: tuple[str, ...] = ()
    """Origins whose pages may call the model from a browser, such as https://app.example.com."""
    outside_ports: tuple[int, ...] = (443,)
    """TCP ports outside the cluster for the bucket and the issuer; closed if neither is used."""
    thresholds: AlertThresholds = field(default_factory=AlertThresholds)

    def __post_init__(self) -> None:
        MODEL_NAME.check("model", self.model)
        if isinstance(self.image, str):
            rules.IMAGE.check("image", self.image)
        EXPOSURE.check("exposure", self.exposure)
        REQUEST_LOG.check("request_log", self.request_log)
        if self.signatures:
            SIGNATURES.check("signatures", self.signatures)
        if self.signatures in ("warn", "require") and not self.signers:
            raise SettingError(
                f"signatures is {self.signatures!r}, but deploy/signing.pub holds no public key: write yours with "
                "`mlp models trust`."
            )
        check_replicas(self.min_replicas, self.max_replicas)
        if (rules.quantity(self.cpu_limit) or 0) < (rules.quantity(self.cpu_request) or 0):
            raise SettingError(
                f"cpu_limit is {self.cpu_limit!r} and cpu_request {self.cpu_request!r}: give cpu_limit that or more."
            )
        if self.version:
            rules.VERSION.check("version", self.version)
        for index, origin in enumerate(self.cors_allowed_origins):
            rules.ORIGIN.check(f"cors_allowed_origins[{index}]", origin)
        if bool(self.oidc_issuer) != bool(self.oidc_audience):
            raise SettingError(
                "oidc_issuer and oidc_audience belong together: without the audience, tokens that the issuer made "
                "for others would pass. Set both."
            )

    @property
    def reference(self) -> str:
        """Reference to the model for `mlp serve`."""
        return f"models:/{self.model}/{self.version}" if self.version else f"models:/{self.model}@{Alias.CHAMPION}"
