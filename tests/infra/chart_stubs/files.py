"""A chart mirror like that of an air-gapped site, made of stub charts that the real helm installs.

Each chart has the real chart's name, version, default values, values schema, CRDs, workload names, services and ports
(from the chart facts and the folder of engines). Its fake pods take image, security context, environment and volumes
from the values.
`objects` adds the objects on which an installation can fail: webhooks, hooks, certificates, rules and classes.
"""

import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import yaml

from tests.engines import need_engine
from tests.infra.chart_stubs.charts import ACCOUNT, CHARTS, OWN_DEFAULTS, Chart, facts
from tests.k8slab.crds import definitions

LABELS = """
    app.kubernetes.io/name: NAME
    app.kubernetes.io/instance: INSTANCE
    app.kubernetes.io/managed-by: {{ .Release.Service }}"""
WORKLOAD = """apiVersion: apps/v1
kind: KIND
metadata:
  name: FULLNAME
  namespace: {{ .Release.Namespace }}
  labels:LABELS
spec:
  selector: {matchLabels: {app.kubernetes.io/name: NAME, app.kubernetes.io/instance: INSTANCE}}
  template:
    metadata: {labels: {app.kubernetes.io/name: NAME, app.kubernetes.io/instance: INSTANCE}}
    spec:
      serviceAccountName: ACCOUNT
      securityContext: POD_SECURITY_CONTEXT
      containers:
        - name: NAME
          image: "IMAGE"
          env: ENVIRONMENT
          volumeMounts: MOUNTS
          ports: PORTS
          resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {cpu: 500m, memory: 256Mi}}
          securityContext: CONTAINER_SECURITY_CONTEXT
      volumes: VOLUMES
---
"""
# Used if a chart does not take them from its values: its own, or those that the Prometheus operator writes.
RIGHTS = {
    "POD_SECURITY_CONTEXT": "{runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}",
    "CONTAINER_SECURITY_CONTEXT": "{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true,"
    " capabilities: {drop: [ALL]}}",
}
SERVICE = """apiVersion: v1
kind: Service
metadata:
  name: FULLNAME
  namespace: {{ .Release.Namespace }}
  labels:LABELS
spec:
  type: TYPE
  selector: {app.kubernetes.io/name: NAME, app.kubernetes.io/instance: INSTANCE}
  ports: PORTS
---
"""


def _definitions(chart: Chart) -> list[dict[str, Any]]:
    """From the upstream files where the engines' folder has them, else from the extracts."""
    upstream = {"traefik.io": "traefik.yaml", "cert-manager.io": "cert-manager.yaml"}
    file = next((upstream[group] for group in chart.groups if group in upstream), None)
    if file is None:
        return definitions(facts() / "schemas", chart.groups)
    text = (need_engine("k8slab").parent / "crds" / file).read_text(encoding="utf-8")
    found = [item for item in yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if item]
    for item in found:
        item["metadata"].setdefault("annotations", {})["helm.sh/resource-policy"] = "keep"
    return found


def _templates(chart: Chart) -> str:
    text = (chart.account + chart.extra).replace("FULLNAME", chart.fullname)
    for number, workload in enumerate(chart.workloads):
        fullname = chart.fullname + workload.suffix
        made = "" if chart.account else ACCOUNT
        made += WORKLOAD.replace("KIND", workload.kind).replace(
            "PORTS", json.dumps([{"name": n, "containerPort": c} for n, _, c in workload.service_ports])
        )
        given = chart.outside if number == 0 and chart.outside else ()
        for key, name in zip(("ENVIRONMENT", "VOLUMES", "MOUNTS"), given or ("", "", ""), strict=True):
            made = made.replace(key, f"{{{{ toJson (.Values.{name} | default list) }}}}" if name else "[]")
        for key, path in (
            ("POD_SECURITY_CONTEXT", workload.pod_security_context),
            ("CONTAINER_SECURITY_CONTEXT", workload.container_security_context),
        ):
            keys = " ".join(f"`{part}`" for part in path)
            made = made.replace(
                key, f"{{{{ toJson (omit (index .Values {keys}) `enabled`) }}}}" if path else RIGHTS[key]
            )
        made = made.replace("IMAGE", chart.image)
        ports = json.dumps([{"name": n, "port": p, "targetPort": n} for n, p, _ in workload.service_ports])
        made += SERVICE.replace("TYPE", workload.service_type).replace("PORTS", ports)
        made = (
            made.replace("LABELS", LABELS)
            .replace("INSTANCE", chart.instance)
            .replace("ACCOUNT", fullname)
            .replace("FULLNAME", fullname)
        )
        made = made.replace("NAME", "{{ .Chart.Name }}" + workload.suffix)
        text += f"{{{{- if {workload.when} }}}}\n{made}{{{{- end }}}}\n" if workload.when else made
    return text


def write_chart(folder: Path, name: str, chart: Chart) -> None:
    """The chart's files in `folder/name`."""
    root = folder / name
    (root / "templates").mkdir(parents=True)
    (root / "Chart.yaml").write_text(
        json.dumps({"apiVersion": "v2", "name": name, "version": chart.version, "type": "application"}),
        encoding="utf-8",
    )
    defaults = facts() / "defaults" / f"{name}_{chart.version}.defaults.json"
    (root / "values.yaml").write_text(
        defaults.read_text(encoding="utf-8") if defaults.is_file() else json.dumps(OWN_DEFAULTS[name]), encoding="utf-8"
    )
    schema = facts() / "schemas" / f"values_{name}_{chart.version}.schema.json"
    if schema.is_file():
        (root / "values.schema.json").write_bytes(schema.read_bytes())
    (root / "templates" / "workloads.yaml").write_text(_templates(chart), encoding="utf-8")
    if not chart.groups:
        return
    text = "\n---\n".join(json.dumps(item) for item in _definitions(chart))
    where = root / ("definitions" if chart.definitions_when else "crds") / "definitions.yaml"
    where.parent.mkdir()
    where.write_text(text, encoding="utf-8")
    if chart.definitions_when:
        content = '{{ .Files.Get "definitions/definitions.yaml" }}'
        gated = f"{{{{- if {chart.definitions_when} }}}}\n{content}\n{{{{- end }}}}\n"
        (root / "templates" / "definitions.yaml").write_text(gated, encoding="utf-8")


def write_mirror(folder: Path) -> Path:
    """Write every chart unpacked (`folder/NAME`) and packed (`NAME-VERSION.tgz` with an index)."""
    for name, chart in CHARTS.items():
        write_chart(folder, name, chart)
        with tarfile.open(folder / f"{name}-{chart.version}.tgz", "w:gz", compresslevel=1) as packed:
            packed.add(folder / name, name)
    subprocess.run([need_engine("helm"), "repo", "index", folder], check=True, capture_output=True)
    return folder
