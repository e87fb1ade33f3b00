"""What answers the API server's calls to Services: admission webhooks and aggregated APIs.

Pods of the lab are fake, so the API server would never reach a webhook. It sends its calls to Services through this
proxy, which answers for a Service that has a ready endpoint, and hangs up for every other one. As in a real cluster, a
call also needs the CA bundle in the webhook's configuration:

- the database operator writes its own, and becomes ready only then (`OPERATOR`);
- other operators follow as soon as they are ready and helm has installed them, because real pods first pull images and
  mount certificates;
- cert-manager's injector comes some time after its pods are ready. Here that is the latest possible moment: when the
  chart's check of its API runs, whose pod ends only then. Without that check it never comes.
"""

import base64
import json
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from typing import Any, Protocol

import httpx
import yaml

INJECTED_BY_CERT_MANAGER = "cert-manager.io/inject-ca-from"
CHECK = "app.kubernetes.io/component=startupapicheck"
OPERATOR = "app.kubernetes.io/name=cloudnative-pg"
INJECTOR = "app.kubernetes.io/name+in+(cainjector,cert-manager-cainjector)"
CHECKED = {"metadata": {"annotations": {"k8slab/checked": "true"}}}
KINDS = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
_ROOT = "/apis/admissionregistration.k8s.io/v1"
_APIS = "/apis/apiregistration.k8s.io/v1/apiservices"


class Api(Protocol):
    """The part of the lab that this module needs."""

    def send(self, method: str, path: str, body: Any = None, *, content_type: str = ...) -> httpx.Response:
        """Send one request to the API server as admin."""


class Webhooks:
    """The proxy and the injectors of CA bundles."""

    def __init__(self, folder: Path, api: Api) -> None:
        """
        Args:
            folder: For certificates and the API server's configuration.
            api: The lab; its API server may start later.
        """
        self._folder, self._api = folder, api
        self._key, self._certificate = folder / "webhooks.key", folder / "webhooks.crt"
        subject = ["-subj", "/CN=webhooks", "-addext", "subjectAltName=DNS:*.svc"]
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
            *subject,
            *("-keyout", str(self._key), "-out", str(self._certificate)),
        )
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._proven = ""  # UID of the cert-manager injector whose check has run
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._socket = folder / "webhooks.sock"
        self._server = ThreadingUnixStreamServer(str(self._socket), self._handler())
        self._server.daemon_threads = True

    @property
    def configuration(self) -> Path:
        """The API server's `--egress-selector-config-file`."""
        path = self._folder / "egress.yaml"
        connection = {"proxyProtocol": "HTTPConnect", "transport": {"uds": {"udsName": str(self._socket)}}}
        content = {
            "apiVersion": "apiserver.k8s.io/v1beta1",
            "kind": "EgressSelectorConfiguration",
            "egressSelections": [{"name": "cluster", "connection": connection}],
        }
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    def start(self) -> None:
        """Answer from now on."""
        for work in (self._server.serve_forever, self._inject_until_stopped):
            threading.Thread(target=work, daemon=True).start()

    def stop(self) -> None:
        """Stop answering."""
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def is_ready(self, host: str) -> bool:
        """Whether the Service `NAME.NAMESPACE.svc` has a ready endpoint, and helm is not still installing it."""
        name, namespace = host.split(".")[:2]
        if self._is_being_installed(name, namespace):
            return False
        path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        found = self._list(f"{path}?labelSelector=kubernetes.io/service-name%3D{name}")
        return any(endpoint["conditions"].get("ready") for item in found for endpoint in item["endpoints"] or [])

    def _is_being_installed(self, name: str, namespace: str) -> bool:
        service = self._api.send("GET", f"/api/v1/namespaces/{namespace}/services/{name}")
        metadata = service.json()["metadata"] if service.is_success else {}
        release = metadata.get("annotations", {}).get("meta.helm.sh/release-name")
        label = f"owner%3Dhelm,status%3Dpending-install,name%3D{release}"
        return bool(release and self._list(f"/api/v1/namespaces/{namespace}/secrets?labelSelector={label}"))

    def context(self, host: str) -> ssl.SSLContext:
        """A server's context with a certificate for one host, signed by the CA that `_inject` writes."""
        with self._lock:
            if host not in self._contexts:
                request, certificate, names = (self._folder / f"webhook.{part}" for part in ("csr", "crt", "ext"))
                names.write_text(f"subjectAltName=DNS:{host}", encoding="utf-8")
                _openssl("req", "-new", "-key", str(self._key), "-subj", "/CN=webhook", "-out", str(request))
                signer = ("-CA", str(self._certificate), "-CAkey", str(self._key), "-CAcreateserial", "-days", "1")
                files = ("-in", str(request), "-extfile", str(names), "-out", str(certificate))
                _openssl("x509", "-req", *signer, *files)
                self._contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._contexts[host].load_cert_chain(certificate, self._key)
            return self._contexts[host]

    def _handler(self) -> type[StreamRequestHandler]:
        webhooks = self

        class Connect(StreamRequestHandler):
            def handle(self) -> None:
                while self.rfile.readline().strip():  # CONNECT and its headers; TLS follows the answer
                    pass
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(webhooks._certificate, webhooks._key)
                context.sni_callback = _choose
                try:
                    with context.wrap_socket(self.connection, server_side=True) as inside:
                        _Answers(inside, self.client_address, self.server)
                except (OSError, httpx.HTTPError):
                    return

        def _choose(socket: Any, host: str | None, _context: ssl.SSLContext) -> int | None:
            if not host or not webhooks.is_ready(host):
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            socket.context = webhooks.context(host)
            return None

        return Connect

    def _inject_until_stopped(self) -> None:
        while not self._stopped.wait(0.3):
            try:
                self._inject()
            except (httpx.HTTPError, AssertionError):  # the API server starts or stops
                continue

    def _inject(self) -> None:
        checks = self._list(f"/api/v1/pods?labelSelector={CHECK}")
        injectors = self._list(f"/apis/apps/v1/deployments?labelSelector={INJECTOR}")
        uid = injectors[0]["metadata"]["uid"] if injectors else ""
        if checks and uid:
            self._proven = uid
        is_proven = bool(uid) and uid == self._proven
        operators = self._list(f"/api/v1/pods?labelSelector={OPERATOR}")
        starting = {pod["metadata"]["namespace"] for pod in operators}
        written: dict[str, set[str]] = {
            kind: set() for kind in KINDS
        }  # namespaces of operators whose webhooks know the CA
        bundle = base64.b64encode(self._certificate.read_bytes()).decode()
        for kind in KINDS:
            for item in self._list(f"{_ROOT}/{kind}"):
                annotations = item["metadata"].get("annotations") or {}
                by_injector = any(key.startswith(INJECTED_BY_CERT_MANAGER) for key in annotations)
                patch = []
                for number, hook in enumerate(item.get("webhooks") or []):
                    if "service" not in hook["clientConfig"]:
                        continue
                    namespace = hook["clientConfig"]["service"]["namespace"]
                    is_operator = namespace in starting and not by_injector
                    known = "caBundle" in hook["clientConfig"]
                    if not known and (
                        is_proven if by_injector else is_operator or self.is_ready(_host(hook["clientConfig"]))
                    ):
                        path = f"/webhooks/{number}/clientConfig/caBundle"
                        patch.append({"op": "add", "path": path, "value": bundle})
                    if is_operator:
                        written[kind].add(namespace)
                if patch:
                    self._patch(f"{_ROOT}/{kind}/{item['metadata']['name']}", patch, "application/json-patch+json")
        for item in self._list(_APIS):
            spec = item["spec"]
            named = spec.get("service") and not (spec.get("caBundle") or spec.get("insecureSkipTLSVerify"))
            if named and self.is_ready(_host(spec)):
                patch = [{"op": "add", "path": "/spec/caBundle", "value": bundle}]
                self._patch(f"{_APIS}/{item['metadata']['name']}", patch, "application/json-patch+json")
        done = [pod for pod in operators if pod["metadata"]["namespace"] in set.intersection(*written.values())]
        for pod in done + (checks if is_proven else []):
            if "k8slab/checked" in (pod["metadata"].get("annotations") or {}):
                continue
            path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
            self._patch(path, CHECKED, "application/merge-patch+json")

    def _list(self, path: str) -> list[dict[str, Any]]:
        answer = self._api.send("GET", path)
        return list(answer.json()["items"] or []) if answer.is_success else []

    def _patch(self, path: str, body: Any, content_type: str) -> None:
        self._api.send("PATCH", f"{path}?fieldManager=injector", body, content_type=content_type)


class _Answers(BaseHTTPRequestHandler):
    """Allows everything, and serves aggregated APIs without resources."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        response = {"uid": review["request"]["uid"], "allowed": True}
        self._answer({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response})

    def do_GET(self) -> None:
        version = "/".join(self.path.partition("?")[0].split("/")[2:4])
        self._answer({"apiVersion": "v1", "kind": "APIResourceList", "groupVersion": version, "resources": []})

    def _answer(self, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_words: object) -> None:
        """Keep the test's output clean."""


def _host(owner: dict[str, Any]) -> str:
    service = owner["service"]
    return f"{service['name']}.{service['namespace']}.svc"


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
