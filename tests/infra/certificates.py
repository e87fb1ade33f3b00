"""Fake cert-manager: write a certificate of one CA into the Secret that each Certificate object names."""

import base64
import ssl
import subprocess
from pathlib import Path
from typing import Any

from tests.infra.harness.objects import Objects

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate, self._key = folder / "ca.crt", folder / "ca.key"
        subject = [
            "-subj",
            "/CN=Tests",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign",
        ]
        _openssl(
            "req",
            "-x509",
            *KEY,
            "-nodes",
            "-days",
            "2",
            *subject,
            "-keyout",
            str(self._key),
            "-out",
            str(self.certificate),
        )

    def context(self) -> ssl.SSLContext:
        """A client's context that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def issue(self, name: str, hosts: list[str]) -> tuple[bytes, bytes]:
        """A certificate and key for the hosts, as PEM."""
        key, request, certificate, extensions = (
            self.folder / f"{name}.{suffix}" for suffix in ("key", "csr", "crt", "ext")
        )
        extensions.write_text("subjectAltName=" + ",".join(f"DNS:{host}" for host in hosts), encoding="utf-8")
        _openssl("req", "-new", *KEY, "-nodes", "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))
        signed = [
            "-CA",
            str(self.certificate),
            "-CAkey",
            str(self._key),
            "-CAcreateserial",
            "-days",
            "1",
            "-extfile",
            str(extensions),
        ]
        _openssl("x509", "-req", "-in", str(request), "-out", str(certificate), *signed)
        return certificate.read_bytes(), key.read_bytes()

    def issue_all(self, objects: Objects) -> list[str]:
        """Fill the Secret of every Certificate in the cluster; returns the hosts."""
        found = objects.lab.request("GET", "/apis/cert-manager.io/v1/certificates")["items"]
        hosts: list[str] = []
        for item in found:
            names = item["spec"].get("dnsNames") or []
            if item["spec"].get("isCA") or not names:
                continue
            certificate, key = self.issue(item["metadata"]["name"], names)
            objects.apply(tls_secret(item["spec"]["secretName"], item["metadata"]["namespace"], certificate, key))
            hosts += names
        return hosts


def tls_secret(name: str, namespace: str, certificate: bytes, key: bytes) -> dict[str, Any]:
    """A Secret as cert-manager writes it."""
    data = {"tls.crt": base64.b64encode(certificate).decode(), "tls.key": base64.b64encode(key).decode()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
