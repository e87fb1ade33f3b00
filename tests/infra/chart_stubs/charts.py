"""Facts of the stub charts: name, version, workloads, services, ports, and the values that describe pods.

Taken from the charts' facts (`$MLP_FACTS`, else `../shared/facts/charts`); `files` writes them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.infra.chart_stubs.objects import CERT_MANAGER, INGRESS_CLASS, KEDA, MONITORING, POSTGRES

STANDARD_NAME = (
    "{{ .Values.fullnameOverride | default (contains .Chart.Name .Release.Name "
    "| ternary .Release.Name (printf `%s-%s` .Release.Name .Chart.Name)) }}"
)
RELEASE_NAME = "{{ .Release.Name }}"
ACCOUNT = """apiVersion: v1
kind: ServiceAccount
metadata: {name: FULLNAME, namespace: {{ .Release.Namespace }}}
---
"""
TRAEFIK_RIGHTS = (
    ACCOUNT
    + """apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "FULLNAME-{{ .Release.Namespace }}"}
rules:
  - {apiGroups: [""], resources: [configmaps, nodes, services, secrets], verbs: [get, list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
  - {apiGroups: [networking.k8s.io], resources: [ingresses, ingressclasses], verbs: [get, list, watch]}
  - {apiGroups: [networking.k8s.io], resources: [ingresses/status], verbs: [update]}
  - apiGroups: [traefik.io]
    resources: [ingressroutes, ingressroutetcps, ingressrouteudps, middlewares, middlewaretcps, serverstransports,
      serverstransporttcps, tlsoptions, tlsstores, traefikservices]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "FULLNAME-{{ .Release.Namespace }}"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "FULLNAME-{{ .Release.Namespace }}"}
subjects: [{kind: ServiceAccount, name: FULLNAME, namespace: {{ .Release.Namespace }}}]
---
"""
)


@dataclass(frozen=True, slots=True)
class Workload:
    """Pods of a chart and the service before them."""

    suffix: str = ""
    service_ports: tuple[tuple[str, int, int], ...] = ()  # (name, port, container port)
    kind: str = "Deployment"
    service_type: str = "ClusterIP"
    when: str = ""  # a Helm condition
    pod_security_context: tuple[str, ...] = ()  # path of the pod's securityContext in the chart's values
    container_security_context: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """What a stub must share with its original."""

    version: str
    workloads: tuple[Workload, ...]
    fullname: str = STANDARD_NAME
    instance: str = RELEASE_NAME
    account: str = ""  # rights of its own; the default is an account without any
    extra: str = ""  # objects besides pods and Services
    definitions_when: str = (
        ""  # a Helm condition for definitions in templates; "" puts them into crds/, which Helm never upgrades
    )
    groups: tuple[str, ...] = ()  # API groups whose definitions it brings
    image: str = (
        "{{ .Values.global.imageRegistry | default `quay.io` }}/NAME:1"  # by the keys of the chart's own default values
    )
    outside: tuple[str, str, str] | None = (
        None  # keys of environment, volumes and mounts of the first workload: the one that leaves the cluster
    )


CHARTS: Mapping[str, Chart] = {
    "traefik": Chart(
        "41.3.0",
        (
            Workload(
                "",
                (("web", 80, 8000), ("websecure", 443, 8443)),
                service_type="{{ .Values.service.spec.type | default `LoadBalancer` }}",
                pod_security_context=("podSecurityContext",),
                container_security_context=("securityContext",),
            ),
        ),
        instance="{{ .Release.Name }}-{{ .Release.Namespace }}",
        account=TRAEFIK_RIGHTS,
        extra=INGRESS_CLASS,
        groups=("traefik.io",),
        image="{{ .Values.image.registry | default `docker.io` }}"
        "/{{ .Values.image.repository | default `library/traefik` }}:1",
    ),
    "cert-manager": Chart(
        "v1.21.1",
        tuple(
            Workload(
                suffix,
                (port,),
                pod_security_context=(*part, "securityContext"),
                container_security_context=(*part, "containerSecurityContext"),
            )
            for suffix, part, port in (
                ("", (), ("tcp", 9402, 9402)),
                ("-webhook", ("webhook",), ("https", 443, 10250)),
                ("-cainjector", ("cainjector",), ("tcp", 9402, 9402)),
            )
        ),
        definitions_when=".Values.crds.enabled",
        groups=("cert-manager.io", "acme.cert-manager.io"),
        extra=CERT_MANAGER,
        image="{{ .Values.imageRegistry }}/{{ .Values.imageNamespace }}/NAME:1",
        outside=("extraEnv", "volumes", "volumeMounts"),
    ),
    "oauth2-proxy": Chart(
        "10.7.0",
        (
            Workload(
                "",
                (("http", 80, 4180), ("metrics", 44180, 44180)),
                pod_security_context=("podSecurityContext",),
                container_security_context=("securityContext",),
            ),
        ),
        image="{{ .Values.image.registry | default `quay.io` }}/{{ .Values.image.repository }}:1",
        outside=("extraEnv", "extraVolumes", "extraVolumeMounts"),
    ),
    "kube-prometheus-stack": Chart(
        "88.5.3",
        (
            Workload(
                "-operator",
                (("https", 443, 10250),),
                pod_security_context=("prometheusOperator", "securityContext"),
                container_security_context=("prometheusOperator", "containerSecurityContext"),
            ),
            Workload(
                "-prometheus",
                (("http-web", 9090, 9090),),
                "StatefulSet",
                pod_security_context=("prometheus", "prometheusSpec", "securityContext"),
            ),
            Workload(
                "-alertmanager",
                (("http-web", 9093, 9093),),
                "StatefulSet",
                when=".Values.alertmanager.enabled",
                pod_security_context=("alertmanager", "alertmanagerSpec", "securityContext"),
            ),
            Workload(
                "-grafana",
                (("http-web", 80, 3000),),
                when=".Values.grafana.enabled",
                pod_security_context=("grafana", "securityContext"),
                container_security_context=("grafana", "containerSecurityContext"),
            ),
            Workload(
                "-kube-state-metrics",
                (("http", 8080, 8080),),
                pod_security_context=("kube-state-metrics", "securityContext"),
                container_security_context=("kube-state-metrics", "containerSecurityContext"),
            ),
        ),
        fullname=RELEASE_NAME,
        groups=("monitoring.coreos.com",),
        extra=MONITORING,
    ),
    "cloudnative-pg": Chart(
        "0.29.0",
        (Workload("", (("webhook-server", 443, 9443),)),),
        extra=POSTGRES,
        definitions_when=".Values.crds.create",
        groups=("postgresql.cnpg.io",),
        image="{{ .Values.image.repository }}:1",
    ),
    "keda": Chart(
        "2.20.2",
        tuple(
            Workload(
                suffix,
                (port,),
                pod_security_context=("podSecurityContext", part),
                container_security_context=("securityContext", part),
            )
            for suffix, part, port in (
                ("-operator", "operator", ("metricsservice", 9666, 9666)),
                ("-operator-metrics-apiserver", "metricServer", ("https", 443, 6443)),
                ("-admission-webhooks", "webhooks", ("https", 443, 9443)),
            )
        ),
        extra=KEDA,
        definitions_when=".Values.crds.install",
        groups=("keda.sh",),
        image="{{ .Values.global.image.registry | default .Values.image.keda.registry }}"
        "/{{ .Values.image.keda.repository }}:1",
    ),
}
# Its defaults are not among the facts.
OWN_DEFAULTS: Mapping[str, Any] = {
    "cloudnative-pg": {"crds": {"create": True}, "image": {"repository": "ghcr.io/cloudnative-pg/cloudnative-pg"}},
}


def facts() -> Path:
    """The folder of chart facts; skips where there is none, or fails where CI says that it must be there."""
    folder = Path(os.environ.get("MLP_FACTS") or REPOSITORY.parent / "shared" / "facts" / "charts")
    if not (folder / "charts.json").is_file():
        (pytest.fail if os.environ.get("REQUIRE_ENGINES") else pytest.skip)(
            f"no chart facts in {folder}: set MLP_FACTS"
        )
    return folder
