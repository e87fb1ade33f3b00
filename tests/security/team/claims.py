"""What a team's CI might try, as objects: the attack list and its variations. Each names a word of the refusal."""

from typing import Any

from platform_lib.infra.team.service_rules import PROMETHEUS_URL
from tests.security.team.team_lab import MODELS, TEAM

TRAEFIK = "traefik.io/v1alpha1"
MONITORING = "monitoring.coreos.com/v1"
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
Claim = tuple[dict[str, Any], str]


def traefik(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": TRAEFIK, "kind": kind, "spec": spec}


def route(**changes: Any) -> dict[str, Any]:
    """A route that is allowed, with changes of the spec; `rule` changes its one rule."""
    rule = {
        "kind": "Rule",
        "match": f"Host(`{MODELS}`) && PathPrefix(`/models/{TEAM}/`)",
        "middlewares": [{"name": "edge"}],
        "services": [{"name": TEAM, "port": 8000}],
    }
    spec = {"entryPoints": ["websecure"], "tls": {}, "routes": [rule | changes.pop("rule", {})]} | changes
    return traefik("IngressRoute", spec)


def service(**spec: Any) -> dict[str, Any]:
    """A Service that is allowed, with changes of the spec."""
    whole = {"selector": {"app": "evil"}, "ports": [{"port": 443, "targetPort": 8000}]} | spec
    return {"apiVersion": "v1", "kind": "Service", "spec": whole}


def middleware(**spec: Any) -> dict[str, Any]:
    return traefik("Middleware", spec)


def weighted(**member: Any) -> dict[str, Any]:
    return traefik("TraefikService", {"weighted": {"services": [{"name": TEAM, "port": 8000, **member}]}})


def mirroring(mirror: dict[str, Any], **main: Any) -> dict[str, Any]:
    return traefik("TraefikService", {"mirroring": {"name": TEAM, "port": 8000, **main, "mirrors": [mirror]}})


def match(text: str) -> dict[str, Any]:
    return route(rule={"match": text})


def to(**service_of_route: Any) -> dict[str, Any]:
    return route(rule={"services": [{"name": TEAM, "port": 8000, **service_of_route}]})


ROUTES: dict[str, Claim] = {
    "another team's model": (match(f"Host(`{MODELS}`) && PathPrefix(`/models/fraud/`)"), "may route no other"),
    "all models": (match(f"Host(`{MODELS}`) && PathPrefix(`/models/`)"), "has to be"),
    "a user interface's host": (match("Host(`mlflow.ml.example.com`) && PathPrefix(`/models/churn/`)"), "has to be"),
    "a second rule": (
        match(f"Host(`{MODELS}`) && PathPrefix(`/models/churn/`) || Host(`auth.ml.example.com`)"),
        "has to be",
    ),
    "any host": (match("PathPrefix(`/`)"), "has to be"),
    "an older syntax": (route(rule={"syntax": "v2"}), "syntax"),
    "before others": (route(rule={"priority": 1000}), "priority"),
    "without a log": (route(rule={"observability": {"accessLogs": False}}), "observability"),
    "plain HTTP": (route(entryPoints=["web"]), "websecure"),
    "every entry point": (
        traefik("IngressRoute", {k: v for k, v in route()["spec"].items() if k != "entryPoints"}),
        "entryPoints",
    ),
    "weak TLS": (route(tls={"options": {"name": "weak"}}), "spec.tls"),
    "its own certificate": (route(tls={"secretName": "own"}), "spec.tls"),
    "no TLS": (traefik("IngressRoute", {k: v for k, v in route()["spec"].items() if k != "tls"}), "no tls"),
    "a parent elsewhere": (route(parentRefs=[{"name": "ui", "namespace": "mlp-mlflow"}]), "parentRefs"),
    "MLflow's Service": (to(name="mlflow", namespace="mlp-mlflow"), "own namespace"),
    "Traefik's API": (to(name="api@internal", kind="TraefikService"), "without @"),
    "Traefik's metrics": (to(name="prometheus@internal", kind="TraefikService"), "without @"),
    "a name with a dot": (to(name="api.internal"), "without @"),
    "its own transport": (to(serversTransport="own"), "serversTransport"),
    "a cookie of the domain": (to(sticky={"cookie": {"domain": "ml.example.com"}}), "sticky"),
    "the nodes' ports": (to(nodePortLB=True), "nodePortLB"),
    "a probe elsewhere": (to(healthCheck={"hostname": "grafana", "path": "/"}), "healthCheck"),
    "another's middleware": (
        route(rule={"middlewares": [{"name": "ui-identity", "namespace": "mlp-mlflow"}]}),
        "own namespace",
    ),
    "another's middleware by provider": (
        route(rule={"middlewares": [{"name": "mlp-mlflow-ui-identity@kubernetescrd"}]}),
        "without @",
    ),
    "the login's cookie": (route(rule={"middlewares": []}), "keeps the login's cookie"),
    "the login's cookie, first": (
        route(rule={"middlewares": [{"name": "own"}, {"name": "edge"}]}),
        "keeps the login's cookie",
    ),
    "a middleware of a member": (to(middlewares=[{"name": "x"}]), "middlewares"),
}
TRAEFIK_SERVICES: dict[str, Claim] = {
    "Traefik's API": (weighted(name="api@internal", kind="TraefikService"), "without @"),
    "Traefik's API, weight 0": (weighted(name="api@internal", kind="TraefikService", weight=0), "without @"),
    "Traefik's dashboard": (weighted(name="dashboard@internal", kind="TraefikService"), "without @"),
    "Traefik's metrics": (weighted(name="prometheus@internal", kind="TraefikService"), "without @"),
    "Traefik's API as a mirror": (mirroring({"name": "api@internal", "kind": "TraefikService"}), "without @"),
    "Traefik's API, mirrored": (
        mirroring({"name": TEAM, "port": 8000}, name="api@internal", kind="TraefikService"),
        "without @",
    ),
    "another namespace": (weighted(namespace="mlp-monitoring", name="kube-prometheus-stack-grafana"), "own namespace"),
    "another namespace's mirror": (
        mirroring({"name": "mlflow", "port": 5000, "namespace": "mlp-mlflow"}),
        "own namespace",
    ),
    "another provider": (weighted(name="mlp-mlflow-mlflow@kubernetescrd", kind="TraefikService"), "without @"),
    "a fallback": (
        traefik(
            "TraefikService",
            {
                "failover": {
                    "service": {"name": TEAM, "port": 8000},
                    "fallback": {"name": "api@internal"},
                    "errors": {"status": ["500"]},
                }
            },
        ),
        "failover",
    ),
    "by hash": (
        traefik("TraefikService", {"highestRandomWeight": {"services": [{"name": TEAM, "port": 1}]}}),
        "highestRandomWeight",
    ),
    "a cookie of the domain": (
        traefik("TraefikService", {"weighted": {"services": [], "sticky": {"cookie": {"domain": "ml.example.com"}}}}),
        "sticky",
    ),
}
GRAFANA = "http://kube-prometheus-stack-grafana.mlp-monitoring/api/admin/users"
MIDDLEWARES: dict[str, Claim] = {
    "forwardAuth to Grafana": (
        middleware(forwardAuth={"address": GRAFANA, "preserveRequestMethod": True, "forwardBody": True}),
        "forwardAuth",
    ),
    "forwardAuth beside an allowed one": (
        middleware(stripPrefix={"prefixes": ["/x"]}, forwardAuth={"address": GRAFANA}),
        "forwardAuth",
    ),
    "an error page from elsewhere": (
        middleware(errors={"status": ["404"], "query": "/", "service": {"name": "mlflow", "namespace": "mlp-mlflow"}}),
        "errors",
    ),
    "a chain": (middleware(chain={"middlewares": [{"name": "ui-identity", "namespace": "mlp-mlflow"}]}), "chain"),
    "a plugin": (middleware(plugin={"x": {}}), "plugin"),
    "a login of its own": (middleware(basicAuth={"secret": "ui-login"}), "basicAuth"),
    "digestAuth": (middleware(digestAuth={"secret": "ui-login"}), "digestAuth"),
    "request headers": (
        middleware(headers={"customRequestHeaders": {"X-Auth-Request-Groups": "admins"}}),
        "customRequestHeaders",
    ),
    "a cookie for the domain": (
        middleware(headers={"customResponseHeaders": {"Set-Cookie": "_mlp_login=x; Domain=ml.example.com"}}),
        "Set-Cookie",
    ),
    "a cookie among allowed ones": (
        middleware(headers={"customResponseHeaders": {"X-Model": "1", "SET-cookie": "x"}}),
        "SET-cookie",
    ),
    "a script for all models": (
        middleware(headers={"customResponseHeaders": {"Service-Worker-Allowed": "/"}}),
        "Service-Worker-Allowed",
    ),
    "HSTS for subdomains": (middleware(headers={"stsIncludeSubdomains": True}), "stsIncludeSubdomains"),
    "another host": (middleware(headers={"hostsProxyHeaders": ["X-Host"]}), "hostsProxyHeaders"),
    "a Redis of its own": (
        middleware(rateLimit={"average": 1, "redis": {"endpoints": ["10.0.0.1:6379"], "secret": "x"}}),
        "redis",
    ),
    "client certificates": (middleware(passTLSClientCert={"pem": True}), "passTLSClientCert"),
    "a redirect": (middleware(redirectRegex={"regex": ".*", "replacement": "https://evil.example"}), "redirectRegex"),
    "memory of the edge": (middleware(buffering={"memRequestBodyBytes": 10**12}), "buffering"),
}
SERVICES: dict[str, Claim] = {
    "the load balancer's address": (service(externalIPs=["10.0.0.2"]), "externalIPs"),
    "an address outside": (service(externalIPs=["198.51.100.7"]), "externalIPs"),
    "another name": (
        {
            "apiVersion": "v1",
            "kind": "Service",
            "spec": {"type": "ExternalName", "externalName": "mlflow.mlp-mlflow.svc"},
        },
        "ExternalName",
    ),
    "a load balancer": (service(type="LoadBalancer"), "LoadBalancer"),
    "a load balancer of a class": (
        service(type="LoadBalancer", loadBalancerClass="x/y", allocateLoadBalancerNodePorts=False),
        "LoadBalancer",
    ),
    "a load balancer's address asked for": (service(loadBalancerIP="10.0.0.2"), "loadBalancerIP"),
    "a node port": (service(type="NodePort"), "NodePort"),
    "orders to a DNS controller": (
        service()
        | {"metadata": {"annotations": {"external-dns.alpha.kubernetes.io/hostname": "mlflow.ml.example.com"}}},
        "external-dns",
    ),
    "orders to Traefik": (
        service() | {"metadata": {"annotations": {"traefik.ingress.kubernetes.io/service.nodeportlb": "true"}}},
        "traefik.ingress",
    ),
}


def scaled(**changes: Any) -> dict[str, Any]:
    trigger = {
        "type": "prometheus",
        "metadata": {"serverAddress": "http://evil.example", "query": "1", "threshold": "1"},
    }
    spec = {"scaleTargetRef": {"name": TEAM}, "triggers": [trigger]} | changes
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "spec": spec}


SCALED_OBJECTS: dict[str, Claim] = {
    "another address": (scaled(), "serverAddress"),
    "any server": (
        scaled(triggers=[{"type": "metrics-api", "metadata": {"url": GRAFANA, "valueLocation": "x"}}]),
        "metrics-api",
    ),
    "a Secret of the platform": (
        scaled(
            triggers=[
                {
                    "type": "cpu",
                    "metadata": {"value": "1"},
                    "authenticationRef": {"name": "x", "kind": "ClusterTriggerAuthentication"},
                }
            ]
        ),
        "authenticationRef",
    ),
    "a file": (
        scaled(triggers=[{"type": "prometheus", "metadata": {"serverAddress": PROMETHEUS_URL, "tokenFile": TOKEN}}]),
        "tokenFile",
    ),
}


def monitor(spec: dict[str, Any] | None = None, **endpoint: Any) -> dict[str, Any]:
    """A ServiceMonitor that is allowed, with changes of its spec and of its one endpoint."""
    whole = {"selector": {"matchLabels": {"app": "x"}}, "endpoints": [{"port": "metrics", **endpoint}], **(spec or {})}
    return {"apiVersion": MONITORING, "kind": "ServiceMonitor", "spec": whole}


SERVICE_MONITORS: dict[str, Claim] = {
    "every namespace": (monitor({"namespaceSelector": {"any": True}}), "namespaceSelector"),
    "another namespace": (monitor({"namespaceSelector": {"matchNames": ["mlp-mlflow"]}}), "namespaceSelector"),
    "Prometheus' token": (monitor(bearerTokenFile=TOKEN), "bearerTokenFile"),
    "a Secret": (monitor(bearerTokenSecret={"name": "x", "key": "y"}), "bearerTokenSecret"),
    "a login": (monitor(basicAuth={"username": {"name": "x", "key": "y"}}), "basicAuth"),
    "Prometheus' files": (monitor(tlsConfig={"caFile": TOKEN}), "tlsConfig"),
    "a proxy": (monitor(proxyUrl="http://evil.example"), "proxyUrl"),
    "a proxy of the environment": (monitor(proxyFromEnvironment=True), "proxyFromEnvironment"),
    "foreign labels": (monitor(honorLabels=True), "honorLabels"),
    "another namespace by relabelling": (
        monitor(relabelings=[{"targetLabel": "namespace", "replacement": "team-fraud"}]),
        "relabelings",
    ),
    "another namespace by relabelling of metrics": (
        monitor(metricRelabelings=[{"targetLabel": "namespace", "replacement": "team-fraud"}]),
        "metricRelabelings",
    ),
    "labels of Services": (monitor({"targetLabels": ["namespace"]}), "targetLabels"),
    "labels of pods": (monitor({"podTargetLabels": ["namespace"]}), "podTargetLabels"),
    "another job": (monitor({"jobLabel": "job"}), "jobLabel"),
    "a class of scraping": (monitor({"scrapeClass": "kubelet"}), "scrapeClass"),
}


def rules(**rule: Any) -> dict[str, Any]:
    groups = [{"name": "own", "rules": [{"expr": "vector(1)", **rule}]}]
    return {"apiVersion": MONITORING, "kind": "PrometheusRule", "spec": {"groups": groups}}


PROMETHEUS_RULES: dict[str, Claim] = {
    "another team's series": (
        rules(record="team:requests:rate5m", labels={"namespace": "team-fraud"}),
        "own namespace",
    ),
    "a series of the servers": (rules(record="mlp_requests_total"), "with a colon"),
    "another team's alert": (rules(alert="ModelDown", labels={"namespace": "team-fraud"}), "own namespace"),
    "labels of a group": (
        {
            "apiVersion": MONITORING,
            "kind": "PrometheusRule",
            "spec": {"groups": [{"name": "x", "labels": {"namespace": "team-fraud"}, "rules": []}]},
        },
        "labels",
    ),
}


def dashboard(file: str = "team-churn.x.json", text: str = "{}", **meta: Any) -> dict[str, Any]:
    """A dashboard that is allowed, with changes of its metadata."""
    metadata = {"labels": {"grafana_dashboard": "1"}, "annotations": {"grafana_folder": "Models"}, **meta}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {file: text}}


DASHBOARDS: dict[str, Claim] = {
    "a folder elsewhere": (dashboard(annotations={"grafana_folder": "../../../../SCRATCH/x"}), "folder of teams"),
    "the platform's folder": (dashboard(annotations={"grafana_folder": "Platform"}), "folder of teams"),
    "no folder": (dashboard(annotations={}), "folder of teams"),
    "the platform's dashboard": (dashboard("mlp-platform.json"), "rename"),
    "another team's dashboard": (dashboard("team-fraud.model.json"), "rename"),
    "an address to fetch": (dashboard("team-churn.x.json.url", "http://10.0.0.1/"), "rename"),
    "bytes": ({**dashboard(), "binaryData": {"team-churn.y.json": "e30="}}, "rename"),
    "a data source": (dashboard(labels={"grafana_datasource": "1"}), "grafana_ labels"),
    "an alert of Grafana": (dashboard(labels={"grafana_dashboard": "1", "grafana_alert": "1"}), "grafana_ labels"),
    "the platform's uid": (dashboard(text='{"uid": "mlp-platform"}'), "somebody else"),
    "another team's uid": (dashboard(text='{"uid" : "mlp-team-fraud-model"}'), "somebody else"),
    "a hidden uid": (dashboard(text='{"\\u0075id": "mlp-platform"}'), "somebody else"),
}
METADATA = "kubernetes.io/metadata.name"


def network(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], **spec},
    }


def leave(peer: dict[str, Any], *ports: Any) -> dict[str, Any]:
    return network(egress=[{"to": [peer], "ports": [{"protocol": "TCP", "port": port} for port in ports]}])


def named(space: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {METADATA: space}}}


def block(cidr: str, *without: str) -> dict[str, Any]:
    return {"ipBlock": {"cidr": cidr, **({"except": list(without)} if without else {})}}


NETWORK_POLICIES: dict[str, Claim] = {
    "everybody in": (network(ingress=[{}]), "lets everyone in"),
    "everybody in at a port": (network(ingress=[{"ports": [{"port": 8000}]}]), "lets everyone in"),
    "the internet in": (network(ingress=[{"from": [block("0.0.0.0/0")]}]), "ipBlock"),
    "every namespace in": (network(ingress=[{"from": [{"namespaceSelector": {}}]}]), "unnamed"),
    "namespaces by expression": (
        network(
            ingress=[{"from": [{"namespaceSelector": {"matchExpressions": [{"key": METADATA, "operator": "Exists"}]}}]}]
        ),
        "unnamed",
    ),
    "everywhere": (network(egress=[{}]), "everywhere"),
    "everywhere at a port": (network(egress=[{"ports": [{"port": 443}]}]), "everywhere"),
    "the nodes' credentials": (leave(block("0.0.0.0/0"), 443), "credentials"),
    "the nodes' credentials alone": (leave(block("169.254.169.254/32"), 443), "credentials"),
    "the nodes' credentials in a half": (leave(block("128.0.0.0/1"), 443), "credentials"),
    "the nodes' credentials with little taken out": (
        leave(block("0.0.0.0/0", "169.254.169.254/32"), 443),
        "credentials",
    ),
    "the nodes' credentials by IPv6": (leave(block("::/0"), 443), "credentials"),
    "the nodes' credentials by IPv6 alone": (leave(block("fd00:ec2::254/128"), 80), "credentials"),
    "the nodes' credentials by IPv6 with little taken out": (leave(block("::/0", "fe80::/10"), 443), "credentials"),
    "the agent of pod identities": (leave(block("169.254.170.23/32"), 443), "credentials"),
    "every port outside": (network(egress=[{"to": [block("0.0.0.0/0", "169.254.0.0/16")]}]), "every port"),
    "a port that is not the team's": (leave(block("0.0.0.0/0", "169.254.0.0/16"), 22), "this team may open 443"),
    "ports up to another": (
        network(egress=[{"to": [block("0.0.0.0/0", "169.254.0.0/16")], "ports": [{"port": 443, "endPort": 65535}]}]),
        "endPort",
    ),
    "Grafana": (leave(named("mlp-monitoring"), 3000), "namespace of the platform"),
    "another team's Prefect": (leave(named("mlp-prefect-fraud"), 4200), "namespace of the platform"),
    "the API server's namespace": (leave(named("kube-system"), 443), "namespace of the platform"),
    "every namespace": (leave({"namespaceSelector": {}}, 8000), "unnamed"),
}
RESERVED: dict[str, tuple[str, str, str]] = (
    {"edge": (TRAEFIK, "Middleware", "edge")}
    | {
        name: ("networking.k8s.io/v1", "NetworkPolicy", name)
        for name in ("closed", "platform-services", "training-data", "request-log")
    }
    | {
        "platform-outputs": ("v1", "ConfigMap", "platform-outputs"),
        "deployer": ("v1", "ServiceAccount", "deployer"),
    }
)
PLATFORM_KINDS: dict[str, dict[str, Any]] = {
    "IngressRouteTCP": {"routes": [{"match": "HostSNI(`*`)"}]},
    "IngressRouteUDP": {"routes": [{}]},
    "MiddlewareTCP": {},
    "ServersTransport": {"insecureSkipVerify": True},
    "ServersTransportTCP": {},
    "TLSOption": {},
    "TLSStore": {},
}
GUARDED: dict[str, dict[str, Any]] = {
    **{kind: traefik(kind, spec) for kind, spec in PLATFORM_KINDS.items()},
    "Ingress": {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "spec": {"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}},
    },
    "PodMonitor": {"apiVersion": MONITORING, "kind": "PodMonitor", "spec": {"selector": {}, "podMetricsEndpoints": []}},
    "Probe": {"apiVersion": MONITORING, "kind": "Probe", "spec": {}},
    "AlertmanagerConfig": {"apiVersion": "monitoring.coreos.com/v1alpha1", "kind": "AlertmanagerConfig", "spec": {}},
    "ScrapeConfig": {"apiVersion": "monitoring.coreos.com/v1alpha1", "kind": "ScrapeConfig", "spec": {}},
    "TriggerAuthentication": {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "spec": {}},
    "ScaledJob": {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledJob",
        "spec": {
            "jobTargetRef": {"template": {"spec": {"containers": []}}},
            "triggers": [{"type": "cpu", "metadata": {"value": "1"}}],
        },
    },
}
