"""What the stub charts hold besides pods and Services: the kinds, policies and order of the real charts' objects.

An object whose admission webhook does not answer yet, whose definition is missing, or that somebody else owns, fails
the installation, as it does with the real chart.
"""

from collections.abc import Iterable

WEBHOOK = """apiVersion: admissionregistration.k8s.io/v1
kind: {kind}
metadata:
  name: {name}
  annotations: {annotations}
webhooks:
  - name: {hook}
    failurePolicy: {policy}
    sideEffects: None
    admissionReviewVersions: [v1]
    matchPolicy: Equivalent
    clientConfig: {{service: {{name: {service}, namespace: "{{{{ .Release.Namespace }}}}", path: /{path}, port: 443}}}}
    rules: [{{apiGroups: [{groups}], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [{resources}]}}]
---
"""


def webhook(
    name: str, hook: str, service: str, groups: str, resources: str, policy: str, *, injected: str = "", kinds: str = ""
) -> str:
    """A validating and a mutating webhook of one Service.

    Args:
        name: Of both configurations.
        hook: The webhook's name; the mutating one has the suffix of its kind.
        service: That answers.
        groups: API groups, as a YAML list without brackets.
        resources: Resources of the groups, likewise.
        policy: Failure policy, a Helm expression or a word.
        injected: Certificate from which cert-manager injects the CA; empty if the operator writes it.
        kinds: Only this kind, `Validating` or `Mutating`; empty makes both.
    """
    annotations = f'{{cert-manager.io/inject-ca-from: "{{{{ .Release.Namespace }}}}/{injected}"}}' if injected else "{}"
    return "".join(
        WEBHOOK.format(
            kind=f"{kind}WebhookConfiguration",
            name=name,
            annotations=annotations,
            hook=hook,
            policy=policy,
            service=service,
            path=kind.lower(),
            groups=groups,
            resources=resources,
        )
        for kind in ([kinds] if kinds else ["Validating", "Mutating"])
    )


INGRESS_CLASS = """{{- if .Values.ingressClass.enabled }}
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: {{ .Values.ingressClass.name | default `traefik` }}
  annotations: {ingressclass.kubernetes.io/is-default-class: {{ .Values.ingressClass.isDefaultClass | quote }}}
spec: {controller: traefik.io/ingress-controller}
---
{{- end }}
"""
API_CHECK = """{{- if .Values.startupapicheck.enabled }}
apiVersion: batch/v1
kind: Job
metadata:
  name: FULLNAME-startupapicheck
  namespace: {{ .Release.Namespace }}
  annotations: {{ toJson .Values.startupapicheck.jobAnnotations }}
spec:
  backoffLimit: {{ .Values.startupapicheck.backoffLimit }}
  template:
    metadata: {labels: {app.kubernetes.io/component: startupapicheck}}
    spec:
      restartPolicy: OnFailure
      securityContext: {{ toJson .Values.startupapicheck.securityContext }}
      containers:
        - name: check
          image: "{{ .Values.imageRegistry }}/{{ .Values.imageNamespace }}/cert-manager-startupapicheck:1"
          args: [check, api]
          securityContext: {{ toJson .Values.startupapicheck.containerSecurityContext }}
---
{{- end }}
"""
CERT_MANAGER = (
    webhook(
        "FULLNAME-webhook",
        "webhook.cert-manager.io",
        "FULLNAME-webhook",
        "cert-manager.io, acme.cert-manager.io",
        '"*/*"',
        "Fail",
        injected="FULLNAME-webhook-ca",
    )
    + API_CHECK
)
_PROMETHEUS_POLICY = (
    "{{ $given := .Values.prometheusOperator.admissionWebhooks.failurePolicy }}"
    '{{ if eq $given "IgnoreOnInstallOnly" }}{{ .Release.IsInstall | ternary "Ignore" "Fail" }}'
    "{{ else if $given }}{{ $given }}"
    "{{ else if .Values.prometheusOperator.admissionWebhooks.patch.enabled }}Ignore{{ else }}Fail{{ end }}"
)
_ISSUED = """apiVersion: cert-manager.io/v1
kind: {kind}
metadata: {{name: FULLNAME-{name}, namespace: {{{{ .Release.Namespace }}}}}}
spec: {spec}
---
"""
_CERTIFICATES: Iterable[tuple[str, str, str]] = (
    ("Issuer", "self-signed-issuer", "{selfSigned: {}}"),
    (
        "Certificate",
        "root-cert",
        "{secretName: FULLNAME-root-cert, commonName: ca, isCA: true, issuerRef: {name: FULLNAME-self-signed-issuer}}",
    ),
    ("Issuer", "root-issuer", "{ca: {secretName: FULLNAME-root-cert}}"),
    (
        "Certificate",
        "admission",
        "{secretName: FULLNAME-admission, dnsNames: [FULLNAME-operator], issuerRef: {name: FULLNAME-root-issuer}}",
    ),
)
MONITORING = (
    "{{- if .Values.prometheusOperator.admissionWebhooks.certManager.enabled }}\n"
    + "".join(_ISSUED.format(kind=kind, name=name, spec=spec) for kind, name, spec in _CERTIFICATES)
    + "{{- end }}\n{{- if .Values.prometheusOperator.admissionWebhooks.enabled }}\n"
    + webhook(
        "FULLNAME-admission",
        "prometheusrules.monitoring.coreos.com",
        "FULLNAME-operator",
        "monitoring.coreos.com",
        "prometheusrules",
        _PROMETHEUS_POLICY,
        injected="FULLNAME-admission",
    )
    + """{{- end }}
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: FULLNAME-alertmanager.rules, namespace: {{ .Release.Namespace }}, labels: {release: FULLNAME}}
spec: {groups: [{name: alertmanager.rules, rules: [{alert: AlertmanagerDown, expr: "up == 0"}]}]}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: FULLNAME-operator, namespace: {{ .Release.Namespace }}, labels: {release: FULLNAME}}
spec:
  endpoints: [{port: https, scheme: https}]
  selector: {matchLabels: {app.kubernetes.io/name: "FULLNAME-operator"}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: FULLNAME-operator}
rules: [{apiGroups: [monitoring.coreos.com], resources: ["*"], verbs: ["*"]}]
---
{{- if .Values.coreDns.enabled }}
apiVersion: v1
kind: Service
metadata: {name: FULLNAME-coredns, namespace: kube-system}
spec: {clusterIP: None, ports: [{name: http-metrics, port: 9153, targetPort: 9153}], selector: {k8s-app: kube-dns}}
---
{{- end }}
"""
)
POSTGRES = "".join(
    webhook(
        f"cnpg-{kind.lower()}-webhook-configuration",
        f"{kind[0].lower()}cluster.cnpg.io",
        "FULLNAME",
        "postgresql.cnpg.io",
        "clusters, databases, poolers",
        "Fail",
        kinds=kind,
    )
    for kind in ("Validating", "Mutating")
)
KEDA = (
    webhook(
        "keda-admission",
        "vscaledobject.kb.io",
        "FULLNAME-admission-webhooks",
        "keda.sh",
        "scaledobjects, triggerauthentications",
        "{{ .Values.webhooks.failurePolicy }}",
        kinds="Validating",
    )
    + """apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.external.metrics.k8s.io}
spec:
  group: external.metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: FULLNAME-operator-metrics-apiserver, namespace: "{{ .Release.Namespace }}", port: 443}
---
"""
)
