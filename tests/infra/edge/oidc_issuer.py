"""A small OIDC issuer that signs everyone in: authorization code with PKCE left to the client, rotating refresh tokens.

    python -m tests.infra.edge.oidc_issuer PORT CLAIMS_JSON TOKEN_LIFE_S

Every refresh token is valid once, as issuers with rotation have it. `/log` lists the requests that reached it.
"""

import base64
import json
import secrets
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Issuer(BaseHTTPRequestHandler):
    """Discovery, keys, authorization, tokens, log out."""

    url = ""
    claims: dict[str, Any]
    life_s = 300
    codes: ClassVar[dict[str, dict[str, str]]] = {}
    refresh_tokens: ClassVar[dict[str, dict[str, str]]] = {}
    seen: ClassVar[list[dict[str, Any]]] = []
    lock = threading.Lock()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path == "/log":
            return self._json(self.seen)
        if parts.path == "/claims":
            Issuer.claims = json.loads(query["set"])
            return self._json({})
        self.seen.append({"path": parts.path, **query})
        if parts.path == "/.well-known/openid-configuration":
            return self._json(
                {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/keys",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                    "code_challenge_methods_supported": ["S256"],
                }
            )
        if parts.path == "/keys":
            public = KEY.public_key().public_numbers()
            key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": number(public.n), "e": number(public.e)}
            return self._json({"keys": [key]})
        if parts.path == "/authorize":
            code = secrets.token_hex(8)
            self.codes[code] = {"nonce": query.get("nonce", ""), "audience": query["client_id"]}
            return self._redirect(f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}")
        return self._json({}, 200 if parts.path == "/logout" else 404)

    def do_POST(self) -> None:
        form = {
            key: values[0]
            for key, values in parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()).items()
        }
        with self.lock:
            grant = form.get("grant_type", "")
            session = (self.codes if grant == "authorization_code" else self.refresh_tokens).pop(
                form.get("code") or form.get("refresh_token", ""), None
            )
            self.seen.append({"path": "/token", "grant": grant, "ok": session is not None})
        if session is None:
            return self._json({"error": "invalid_grant"}, 400)
        refresh = secrets.token_hex(16)
        self.refresh_tokens[refresh] = session
        now = int(time.time())
        token = self._signed(
            {
                **self.claims,
                "iss": self.url,
                "sub": "1",
                "aud": session["audience"],
                "iat": now,
                "exp": now + self.life_s,
                "nonce": session["nonce"],
            }
        )
        self._json(
            {
                "access_token": token,
                "id_token": token,
                "refresh_token": refresh,
                "token_type": "Bearer",
                "expires_in": self.life_s,
            }
        )

    def _signed(self, claims: dict[str, Any]) -> str:
        head = encoded(json.dumps({"alg": "RS256", "kid": "1", "typ": "JWT"}).encode())
        body = f"{head}.{encoded(json.dumps(claims).encode())}"
        return f"{body}.{encoded(KEY.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def _json(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _redirect(self, to: str) -> None:
        self.send_response(302)
        self.send_header("Location", to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


def main() -> None:
    """Serve until killed."""
    port, claims, life_s = sys.argv[1:]
    Issuer.url, Issuer.claims, Issuer.life_s = f"http://127.0.0.1:{port}", json.loads(claims), int(life_s)
    ThreadingHTTPServer(("127.0.0.1", int(port)), Issuer).serve_forever()


if __name__ == "__main__":
    main()
