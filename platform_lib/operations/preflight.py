"""`mlp platform preflight`: whether a cluster can take the platform, before the first `pulumi up`.

Reads the cluster with the caller's own rights, changes nothing, and says which settings it needs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from platform_lib.findings import Finding, note, ok, problem
from platform_lib.infra.base.existing import KEDA_NAMESPACE
from platform_lib.infra.base.naming import INGRESS_NAMESPACE, PLATFORM, PLATFORM_NAMESPACES, TEAM_PREFIX
from platform_lib.operations.cluster_facts import Cluster, read_cluster
from platform_lib.operations.kubectl import Kubectl

OLDEST: Final = (1, 30)
"""The oldest supported Kubernetes: with ValidatingAdmissionPolicy and sleep as a preStop action."""
INGRESS_CLASS: Final = "traefik"
# Part of the platform → a definition of it, and a Deployment's name or label that shows its operator.
_PARTS: Final = {
    "cert-manager": ("certificates.cert-manager.io", "cert-manager"),
    "prometheus-operator": ("prometheuses.monitoring.coreos.com", "prometheus-operator"),
    "cloudnative-pg": ("clusters.postgresql.cnpg.io", "cloudnative-pg"),
    "keda": ("scaledobjects.keda.sh", "keda-operator"),
}
_ENFORCING: Final = ("calico", "cilium", "antrea", "weave-net", "kube-router", "ovn", "azure-npm", "anetd", "aws-node")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the cluster needs in the stack's settings."""

    use_existing: list[str] = []
    ingress_class: str = ""
    cluster_issuers: list[str] = []
    """Names that `cluster_issuer` may have, with `certificate_issuer: existing`."""

    @property
    def commands(self) -> list[str]:
        """As commands to paste."""
        entries = enumerate(self.use_existing)
        made = [f"pulumi config set --path 'use_existing[{number}]' {entry}" for number, entry in entries]
        if any(entry.startswith("keda") for entry in self.use_existing):
            made.append("pulumi config set request_rate_scaling true")
        if self.ingress_class:
            made.append(f"pulumi config set ingress_class {self.ingress_class}")
        return made


class Preflight(msgspec.Struct, frozen=True, kw_only=True):
    """Findings about a cluster, and the settings for it."""

    findings: list[Finding]
    settings: Settings


def preflight(kubectl: Kubectl) -> Preflight:
    """Examine a cluster without changing it.

    Raises:
        UsageError: kubectl is not installed.
        ServiceError: The cluster does not respond.
    """
    cluster = read_cluster(kubectl)
    existing, about_parts = _existing(cluster)
    taken, about_classes = _ingress_class(cluster)
    looks: Iterable[Callable[[Cluster], Iterator[Finding]]] = (_version, _rights, _nodes, _storage, _network, _dns)
    findings = [finding for look in looks for finding in look(cluster)]
    findings += [*about_classes, *about_parts, *_services(cluster), *_spaces(cluster)]
    if cluster.missing:
        text = f"could not be read: {', '.join(cluster.missing)}."
        findings.append(note("rights", text, "Use an administrator's kubeconfig."))
    issuers = cluster.names("issuers") if "cert-manager" in existing else []
    return Preflight(
        findings=findings, settings=Settings(use_existing=existing, ingress_class=taken, cluster_issuers=issuers)
    )


def _version(cluster: Cluster) -> Iterator[Finding]:
    found = cluster.read["version"]
    numbers = tuple(int("".join(filter(str.isdigit, found[part])) or 0) for part in ("major", "minor"))
    if numbers < OLDEST:
        yield problem("version", f"Kubernetes {found['gitVersion']}.", "Upgrade it to 1.30 or newer.")
    else:
        yield ok("version", f"Kubernetes {found['gitVersion']}.")


def _rights(cluster: Cluster) -> Iterator[Finding]:
    if cluster.denied:
        yield problem(
            "rights",
            f"you may not create {', '.join(cluster.denied)}.",
            "Use a kubeconfig with administrator rights: the stack installs operators, their definitions and policies.",
        )
    else:
        yield ok("rights", "you may create what the stack creates.")


def _nodes(cluster: Cluster) -> Iterator[Finding]:
    nodes = cluster.items("nodes")
    kinds = {node["metadata"].get("labels", {}).get("kubernetes.io/arch", "amd64") for node in nodes}
    if other := sorted(kinds - {"amd64"}):
        yield note(
            "nodes",
            f"there are nodes of architecture {', '.join(other)}.",
            "The platform's images have amd64 and arm64; build your model's image for the architecture of its nodes.",
        )
    if any("autopilot" in node["metadata"]["name"] or node["metadata"]["name"].startswith("gk3-") for node in nodes):
        yield problem(
            "nodes",
            "this is GKE Autopilot, which forbids objects in kube-system.",
            "Use GKE Standard; docs/platform/clusters.md lists supported clusters.",
        )
    if cluster.serves("config.openshift.io"):
        yield problem(
            "nodes",
            "this is OpenShift, whose restricted-v2 refuses the pods' fixed user IDs.",
            "It is not supported; docs/platform/clusters.md lists supported clusters.",
        )


def _storage(cluster: Cluster) -> Iterator[Finding]:
    mark = "storageclass.kubernetes.io/is-default-class"
    classes = cluster.items("classes")
    default = [c["metadata"]["name"] for c in classes if (c["metadata"].get("annotations") or {}).get(mark) == "true"]
    if "classes" not in cluster.read:
        return
    if default:
        yield ok("storage", f"the default storage class is {default[-1]}.")
    elif classes:
        yield problem(
            "storage",
            f"there is no default storage class; there are {', '.join(cluster.names('classes'))}.",
            f"`pulumi config set storage_class {cluster.names('classes')[0]}`, or the one that you want.",
        )
    else:
        yield problem(
            "storage", "there is no storage class.", "Install a provisioner: Postgres and MLflow need volumes."
        )


def _network(cluster: Cluster) -> Iterator[Finding]:
    daemons = [name for name in cluster.names("daemons") if any(plugin in name for plugin in (*_ENFORCING, "flannel"))]
    if any(plugin in name for name in daemons for plugin in _ENFORCING):
        yield ok("network", f"{', '.join(daemons)} can enforce network policies.")
    else:
        yield note(
            "network",
            f"found {', '.join(daemons)}." if daemons else "no known network plug-in was found.",
            "It must enforce NetworkPolicy, which isolates teams; k3s does. `mlp platform check` tests it later.",
        )


def _dns(cluster: Cluster) -> Iterator[Finding]:
    if any("node-local-dns" in name for name in cluster.names("daemons")):
        yield ok("dns", "NodeLocal DNSCache; its address is open to every pod.")
    elif any(s["metadata"]["namespace"] == "openshift-dns" for s in cluster.items("services")):
        yield ok("dns", "OpenShift's DNS; its port 5353 is open to every pod.")
    elif "kube-dns" in cluster.names("services"):
        yield ok("dns", "the Service kube-dns in kube-system.")
    elif "services" in cluster.read:
        yield note(
            "dns",
            "there is no Service kube-dns.",
            "If pods ask another DNS server, open it with the setting `egress`, such as all=10.0.0.10/32:53.",
        )


def _ingress_class(cluster: Cluster) -> tuple[str, list[Finding]]:
    for item in cluster.items("ingress_classes"):
        if item["metadata"]["name"] == INGRESS_CLASS and not _is_ours(item, INGRESS_NAMESPACE):
            free = f"mlp-{INGRESS_CLASS}"
            text = f"the IngressClass {INGRESS_CLASS} belongs to another Traefik, which also reads our IngressRoutes."
            remedy = "Remove that Traefik (k3s: --disable=traefik), or use another class: see the settings below."
            return free, [note("ingress", text, remedy)]
    return "", [ok("ingress", f"the IngressClass {INGRESS_CLASS} is free or ours.")]


def _is_ours(item: Mapping[str, Any], namespace: str) -> bool:
    """Whether a Helm release in one of our namespaces made an object."""
    annotations = item["metadata"].get("annotations") or {}
    return annotations.get("meta.helm.sh/release-namespace") == namespace


def _existing(cluster: Cluster) -> tuple[list[str], list[Finding]]:
    """Entries of `use_existing`, and findings."""
    entries, findings = [], []
    definitions = {item["metadata"]["name"]: item for item in cluster.items("definitions")}
    for part, (definition, operator) in _PARTS.items():
        found = definitions.get(definition)
        places = [place for place in _places(cluster, operator) if place not in PLATFORM_NAMESPACES]
        ours = [place for place in _places(cluster, operator) if place in PLATFORM_NAMESPACES]
        if found is None or (ours and not places):
            continue
        if not places:
            manager = (found["metadata"].get("annotations") or {}).get("meta.helm.sh/release-namespace", "")
            if manager in PLATFORM_NAMESPACES:
                continue
            findings.append(
                problem(
                    part,
                    f"its definitions are there ({definition}), but no running operator was found.",
                    "Start the operator, or remove the definitions and every object of their kinds.",
                )
            )
            continue
        entries.append(f"keda={places[0]}" if part == "keda" and places[0] != KEDA_NAMESPACE else part)
        findings.append(note(part, f"runs in {', '.join(places)}.", "Do not install another: see the settings below."))
    return entries, findings


def _places(cluster: Cluster, operator: str) -> list[str]:
    """Namespaces with a ready Deployment of an operator."""
    return sorted(
        {
            item["metadata"]["namespace"]
            for item in cluster.items("deployments")
            if operator in (item["metadata"]["name"], *(item["metadata"].get("labels") or {}).values())
            and (item.get("status") or {}).get("readyReplicas", 0)
        }
    )


def _services(cluster: Cluster) -> Iterator[Finding]:
    if cluster.serves("metrics.k8s.io"):
        yield ok("metrics", "metrics-server answers.")
    else:
        yield note("metrics", "there is no metrics-server.", "Install it: models cannot scale without it.")
    balanced = [s for s in cluster.items("services") if s["spec"].get("type") == "LoadBalancer"]
    if any((s["status"].get("loadBalancer") or {}).get("ingress") for s in balanced):
        yield ok("load balancer", "another Service has an address.")
    else:
        yield note(
            "load balancer",
            "no Service has an address, so it is unknown whether the cluster has load balancers.",
            "Without them: `pulumi config set service_type NodePort`.",
        )
    refusing = [
        f"{item['metadata']['name']} ({hook['clientConfig'].get('service', {}).get('namespace', 'outside')})"
        for item in cluster.items("webhooks")
        for hook in item.get("webhooks") or []
        if hook.get("failurePolicy") == "Fail"
        and any(
            "*" in (rule.get("resources") or []) or "pods" in (rule.get("resources") or []) for rule in hook["rules"]
        )
        and not _is_known(item["metadata"]["name"])
    ]
    if refusing:
        yield note(
            "webhooks",
            f"these may refuse our objects: {', '.join(sorted(set(refusing)))}.",
            f"Exempt the namespaces mlp-* and {TEAM_PREFIX}* if their rules do not fit.",
        )


def _is_known(name: str) -> bool:
    return any(part in name for part in ("cert-manager", "cnpg", "keda", "kube-prometheus-stack"))


def _spaces(cluster: Cluster) -> Iterator[Finding]:
    labels = {item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in cluster.items("spaces")}
    ours = [name for name in PLATFORM_NAMESPACES if labels.get(name, {}).get("app.kubernetes.io/part-of") == PLATFORM]
    others = [name for name in PLATFORM_NAMESPACES if name in labels and name not in ours]
    if others:
        yield problem("namespaces", f"{', '.join(others)} exist and are not the platform's.", "Remove them first.")
    if ours:
        yield note("namespaces", "the platform is installed already.", "`mlp platform check` examines it.")
