"""Everything that serves one model at one address: Deployment, Service, route, autoscaler, alerts and dashboard.

`pod` describes the pod and `network` its connections. The shared stack creates the team's namespace, quota and
credentials.
"""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.labels import labels, selector
from platform_lib.infra.base.naming import EDGE_MIDDLEWARE
from platform_lib.infra.kubernetes.volume_claim import claim_spec
from platform_lib.infra.model.alerts import model_rules
from platform_lib.infra.model.dashboard import model_dashboard
from platform_lib.infra.model.drift_rules import drift_rules
from platform_lib.infra.model.endpoint_args import ModelEndpointArgs
from platform_lib.infra.model.network import limit_spec, network_policy_spec, outside_ports, route_spec, strip_spec
from platform_lib.infra.model.pod import pod_template, pull_secrets, server_command, server_environment
from platform_lib.infra.model.scaling import cpu_scaling, request_rate_scaling
from platform_lib.names import Port, SharedOutputs

_TRAEFIK = "traefik.io/v1alpha1"
_PROMETHEUS = "monitoring.coreos.com/v1"


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
        account_meta = self._meta(fixed=True)
        if args.account_annotations:
            account_meta["annotations"] = dict(args.account_annotations)
        account = k8s.core.v1.ServiceAccount(
            name,
            metadata=account_meta,
            # Here and not in the pod, so that a changed login to a registry restarts nothing.
            image_pull_secrets=shared.apply(lambda it: pull_secrets(it, args.pods)),
            automount_service_account_token=False,
            opts=self._child(),
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
            gpus=args.gpus,
            settings=args.pods,
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
