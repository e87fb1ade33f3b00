"""Fake services that run inside the cluster's network, with the standard library only.

    python fake_services.py login ADDRESS PORT       # oauth2-proxy as forward authentication sees it
    python fake_services.py echo ADDRESS PORT NAME   # a web interface that returns its name and the received headers

The login keeps no state: the cookie names the user (`_mlp_session=ada@example.com|team-a,team-b`).
"""

import base64
import json
import sys
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

COOKIE = "mlp_session"


class Login(BaseHTTPRequestHandler):
    """202 with the identity for a session, else 401 (`/oauth2/auth`) or a redirect; 403 outside the allowed groups."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        if url.path in ("/ping", "/ready"):
            return self._say(200, {})
        if url.path in ("/oauth2/sign_in", "/oauth2/start"):
            return self._say(
                302, {"Location": f"https://issuer.invalid/authorize?state={parse_qs(url.query).get('rd', ['/'])[0]}"}
            )
        if cookie is None:
            if url.path == "/oauth2/auth":
                return self._say(401, {})
            forwarded = "".join(self.headers.get(name, "") for name in ("X-Forwarded-Host", "X-Forwarded-Uri"))
            return self._say(302, {"Location": f"https://issuer.invalid/authorize?state=https://{forwarded}"})
        email, _, groups = cookie.value.partition("|")
        allowed = {group for item in parse_qs(url.query).get("allowed_groups", []) for group in item.split(",")}
        if allowed and not allowed & set(groups.split(",")):
            return self._say(403, {})
        basic = "Basic " + base64.b64encode(f"{email}:edge-password".encode()).decode()
        identity = {"X-Auth-Request-User": email, "X-Auth-Request-Email": email, "X-Auth-Request-Groups": groups}
        self._say(202, {**identity, "Authorization": basic})

    do_HEAD = do_GET
    do_POST = do_GET

    def _say(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


# What a team's own image might answer with.
RESPONSE_HEADERS = {
    "Set-Cookie": "mlp_session=forged; Domain=ml.example.com",
    "Service-Worker-Allowed": "/",
    "Clear-Site-Data": '"*"',
    "X-Echo": "1",
}


class Echo(BaseHTTPRequestHandler):
    """Respond to every request with the name, the path and the received headers."""

    name = ""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps(
            {
                "name": self.name,
                "path": self.path,
                "headers": {key.lower(): value for key, value in self.headers.items()},
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        for header, value in RESPONSE_HEADERS.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


def main() -> None:
    """Serve until killed."""
    kind, address, port, *name = sys.argv[1:]
    Echo.name = "".join(name)
    ThreadingHTTPServer((address, int(port)), Login if kind == "login" else Echo).serve_forever()


if __name__ == "__main__":
    main()
