"""The cluster's DNS: service names like kube-dns, and a test domain for the load balancer.

python cluster_dns.py API_URL CA_FILE TOKEN_FILE DOMAIN     # UDP port 53 of loopback, in its own namespace
"""

import json
import socket
import ssl
import struct
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

LOAD_BALANCER_IP = "10.0.0.2"
ADDRESS_QUERY = 1


class ClusterDns:
    """Answers from the API server, queried each time, because tests change Services."""

    def __init__(self, api_url: str, authority: Path, token: str, domain: str) -> None:
        self.api_url = api_url
        self.context = ssl.create_default_context(cafile=str(authority))
        self.token = token
        self.domain = domain

    def _get(self, path: str) -> Any:
        request = urllib.request.Request(self.api_url + path, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=5, context=self.context) as answer:
            return json.load(answer)

    def addresses(self, name: str) -> list[str] | None:
        """The IPv4 addresses of a name; None if the name does not exist."""
        name = name.rstrip(".").lower()
        if name == self.domain or name.endswith(f".{self.domain}"):
            return [LOAD_BALANCER_IP]
        parts = name.split(".")
        if parts[-3:] != ["svc", "cluster", "local"] or len(parts) != 5:
            return None
        service, namespace = parts[0], parts[1]
        try:
            spec = self._get(f"/api/v1/namespaces/{namespace}/services/{service}")["spec"]
            if spec.get("clusterIP") not in (None, "", "None"):
                return [spec["clusterIP"]]
            selector = f"?labelSelector=kubernetes.io/service-name%3D{service}"
            slices = self._get(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices{selector}")["items"]
        except OSError:
            return None
        endpoints = [
            endpoint for item in slices for endpoint in item["endpoints"] or [] if endpoint["conditions"].get("ready")
        ]
        return [address for endpoint in endpoints for address in endpoint["addresses"]]

    def answer(self, query: bytes) -> bytes:
        """The response to a DNS query with one question."""
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
            at += 1 + query[at]
        kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
        found = self.addresses(".".join(labels))
        records = [socket.inet_aton(address) for address in found or []] if kind == ADDRESS_QUERY else []
        flags = 0x8580 if found is not None else 0x8583
        head = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
        return (
            head
            + query[12 : at + 5]
            + b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + record for record in records)
        )


def main() -> None:
    """Serve until killed."""
    api_url, authority, token_file, domain = sys.argv[1:]
    dns = ClusterDns(api_url, Path(authority), Path(token_file).read_text(encoding="utf-8").strip(), domain)
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 53))
    while True:
        query, sender = listener.recvfrom(512)
        try:
            listener.sendto(dns.answer(query), sender)
        except (IndexError, struct.error, OSError):
            continue


if __name__ == "__main__":
    main()
