"""Everything that serves one model at one address: Deployment, Service, route, autoscaler, alerts and dashboard.

`pod` describes the pod and `network` its connections. The shared stack creates the team's namespace, quota and
credentials.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base import setting_rules as rules
from platform_lib.infra.base.labels import labels, selector
from platform_lib.infra.base.naming import EDGE_MIDDLEWARE
from platform_lib.infra.base.setting_rules import SettingError
from platform_lib.infra.kubernetes.volume_claim import claim_spec
from platform_lib.infra.model.alerts import AlertThresholds, model_rules
from platform_lib.infra.model.dashboard import model_dashboard
from platform_lib.infra.model.drift_rules import drift_rules
from platform_lib.infra.model.network import limit_spec, network_policy_spec, outside_ports, route_spec, strip_spec
from platform_lib.infra.model.pod import pod_template, server_command, server_environment
from platform_lib.infra.model.scaling import check_replicas, cpu_scaling, request_rate_scaling
from platform_lib.names import Alias, Port, SharedOutputs

MODEL_NAME = rules.matching(
    r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?",
    "use 1-40 lowercase letters, digits and dashes, starting with a letter, such as churn-model",
)
EXPOSURE = rules.one_of("cluster", "public")
SIGNATURES = rules.one_of("off", "warn", "require")
REQUEST_LOG = rules.one_of("auto", "volume", "off")
_TRAEFIK = "traefik.io/v1alpha1"
_PROMETHEUS = "monitoring.coreos.com/v1"


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


class ModelEndpoint(pulumi.ComponentResource):
    """A model served over HTTP at `https://<models host>/models/<name>` (public) or inside the cluster."""

    url: pulumi.Output[str]
    """Address from outside; empty without a route."""
    service_url: pulumi.Output[str]
    """Address inside the cluster."""
    image: pulumi.Output[str]
    """The running image by digest. `mlp deploy` returns to it when the next image fails."""

    def __init__(self, name: str, args: ModelEndpointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:ModelEndpoint", name, None, opts)
        self._name, self._args = name, args
        self._selector, self._labels = selector(args.model, "model-server"), labels(args.model, "model-server")
        shared = pulumi.Output.from_input(args.shared)
        public = args.exposure == "public"

        deployment = self._deploy(shared)
        self._scale_and_keep(deployment)
        service = k8s.core.v1.Service(
            name,
            metadata=self._meta(fixed=True),
            spec={
                "selector": self._selector,
                "ports": [_port("http", Port.MODEL_SERVER), _port("metrics", Port.METRICS)],
            },
            opts=self._child(),
        )
        k8s.networking.v1.NetworkPolicy(
            name,
            metadata=self._meta(fixed=True),
            spec=shared.apply(
                lambda it: network_policy_spec(
                    it,
                    selector=self._selector,
                    public=public,
                    outside_ports=outside_ports(it, args.request_log, args.oidc_issuer, args.outside_ports),
                )
            ),
            opts=self._child(),
        )
        if public:
            self._route(shared, service)
        self._watch()

        self.url = shared.apply(lambda it: f"https://{it.models_host}/models/{args.model}" if public else "")
        self.service_url = pulumi.Output.from_input(f"http://{args.model}.{args.namespace}:{Port.MODEL_SERVER:d}")
        self.image = pulumi.Output.from_input(args.image)
        self.register_outputs({"url": self.url, "service_url": self.service_url, "image": self.image})

    def _deploy(self, shared: pulumi.Output[SharedOutputs]) -> Any:
        name, args = self._name, self._args
        account = k8s.core.v1.ServiceAccount(
            name, metadata=self._meta(fixed=True), automount_service_account_token=False, opts=self._child()
        )
        data = {"keys.yaml": args.keys, **({"signing.pub": args.signers} if args.signers else {})}
        keys = k8s.core.v1.ConfigMap(f"{name}-keys", metadata=self._meta(), data=data, opts=self._child())
        claim = self._log_claim() if args.request_log == "volume" else None
        environment = shared.apply(
            lambda it: server_environment(
                it,
                model=args.model,
                namespace=args.namespace,
                log=args.request_log,
                oidc_issuer=args.oidc_issuer,
                oidc_audience=args.oidc_audience,
                has_own_keys=args.request_log_secret is not None,
                has_signers=bool(args.signers),
                signatures=args.signatures,
                cors_allowed_origins=args.cors_allowed_origins,
            )
        )
        template = pod_template(
            labels=self._labels,
            selector=self._selector,
            service_account=account.metadata.name,
            image=args.image,
            command=server_command(args.reference, args.workers),
            environment=environment,
            keys_config_map=keys.metadata.name,
            cpu_request=args.cpu_request,
            cpu_limit=args.cpu_limit,
            memory=args.memory,
            log_claim=claim.metadata.name if claim is not None else None,
            log_credentials_secret=args.request_log_secret,
        )
        # Without `replicas`: the autoscaler owns it, and every `pulumi up` would undo the autoscaling.
        return k8s.apps.v1.Deployment(
            name,
            metadata=self._meta(fixed=True),
            spec={
                "selector": {"matchLabels": self._selector},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "minReadySeconds": 5,
                "progressDeadlineSeconds": 300,
                "revisionHistoryLimit": 5,
                "template": template,
            },
            opts=self._child(custom_timeouts=pulumi.CustomTimeouts(create="10m", update="10m")),
        )

    def _log_claim(self) -> Any:
        args = self._args
        spec = claim_spec(args.request_log_gib, args.request_log_storage_class, access_mode="ReadWriteMany")
        return k8s.core.v1.PersistentVolumeClaim(
            f"{self._name}-log",
            metadata=self._meta(suffix="-log"),
            spec=spec,
            opts=self._child(protect=True, retain_on_delete=True),
        )

    def _scale_and_keep(self, deployment: Any) -> None:
        name, args = self._name, self._args
        k8s.policy.v1.PodDisruptionBudget(
            name,
            metadata=self._meta(fixed=True),
            spec={"maxUnavailable": 1, "selector": {"matchLabels": self._selector}},
            opts=self._child(),
        )
        after = self._child(depends_on=[deployment])
        counts: Any = {
            "min_replicas": args.min_replicas,
            "max_replicas": args.max_replicas,
            "cpu_target_percent": args.cpu_target_percent,
        }
        rate = args.requests_per_s_per_replica
        if rate is None:
            spec = cpu_scaling(args.model, **counts)
            k8s.autoscaling.v2.HorizontalPodAutoscaler(name, metadata=self._meta(fixed=True), spec=spec, opts=after)
            return
        monitoring = pulumi.Output.from_input(args.shared).apply(lambda it: it.monitoring_namespace)
        spec = monitoring.apply(
            lambda namespace: request_rate_scaling(
                args.model, args.namespace, monitoring_namespace=namespace, requests_per_s=rate, **counts
            )
        )
        self._custom("keda.sh/v1alpha1", "ScaledObject", f"{name}-scale", spec, after)

    def _route(self, shared: pulumi.Output[SharedOutputs], service: Any) -> None:
        name, args = self._name, self._args
        limits = limit_spec(args.rate_limit_per_s, args.rate_limit_burst)
        limit = self._custom(_TRAEFIK, "Middleware", f"{name}-limit", limits, self._child(), "-limit")
        strip = self._custom(_TRAEFIK, "Middleware", f"{name}-strip", strip_spec(args.model), self._child(), "-strip")
        middlewares = [EDGE_MIDDLEWARE, f"{args.model}-limit", f"{args.model}-strip"]
        spec = shared.apply(lambda it: route_spec(it, args.model, middlewares))
        self._custom(_TRAEFIK, "IngressRoute", f"{name}-route", spec, self._child(depends_on=[strip, limit, service]))

    def _watch(self) -> None:
        name, args = self._name, self._args
        scrape = {"port": "metrics", "path": "/metrics", "interval": "15s", "scrapeTimeout": "10s"}
        monitor = {"selector": {"matchLabels": self._selector}, "endpoints": [scrape]}
        self._custom(_PROMETHEUS, "ServiceMonitor", f"{name}-monitor", monitor, self._child())
        scales = args.min_replicas < args.max_replicas
        groups = model_rules(args.model, args.namespace, thresholds=args.thresholds, scales=scales)
        rules = {"groups": [*groups, *drift_rules(args.model, args.namespace, thresholds=args.thresholds)]}
        self._custom(_PROMETHEUS, "PrometheusRule", f"{name}-alerts", rules, self._child())
        meta = self._meta()
        meta["labels"] = {**meta["labels"], "grafana_dashboard": "1"}
        meta["annotations"] = {"grafana_folder": "Models"}
        board = {f"{args.namespace}.{args.model}.json": model_dashboard(args.model, args.namespace)}
        k8s.core.v1.ConfigMap(f"{name}-dashboard", metadata=meta, data=board, opts=self._child())

    def _custom(
        self, api_version: str, kind: str, name: str, spec: Any, opts: pulumi.ResourceOptions, suffix: str = ""
    ) -> Any:
        more = {"metadata": self._meta(fixed=True, suffix=suffix), "spec": spec, "opts": opts}
        return k8s.apiextensions.CustomResource(name, api_version=api_version, kind=kind, **more)

    def _meta(self, *, fixed: bool = False, suffix: str = "") -> dict[str, Any]:
        """Build metadata. Without a fixed name, Pulumi generates one, so that changed data restarts the pods."""
        meta: dict[str, Any] = {"namespace": self._args.namespace, "labels": dict(self._labels)}
        if fixed or suffix:
            meta["name"] = f"{self._args.model}{suffix}"
        return meta

    def _child(self, **more: Any) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, **more)


def _port(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "port": int(number), "targetPort": name, "protocol": "TCP"}
