"""Verify JWTs of an OpenID Connect issuer, and fetch, cache and refresh the issuer's signing keys."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from platform_lib.errors import UsageError

_MAX_TOKEN_CHARACTERS = 16_384
_KEY_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""Key type by the first two letters of the algorithm."""
ALLOWED_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


class IssuerUnavailable(Exception):
    """The issuer's signing keys could not be fetched, and no cached ones are recent enough."""


class TokenRejected(Exception):
    """The token is not valid here. The message may be shown to the caller."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OidcSettings:
    """Which tokens are accepted."""

    issuer: str
    """Exactly the `iss` of the tokens; its discovery document names the signing keys."""
    audience: str
    """Must be among the token's `aud`."""
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    """A token cannot choose another one. Asymmetric only, so that a public key is never used as a shared secret."""
    clock_skew_s: float = 30.0
    refresh_s: float = 300.0
    """Age at which the signing keys are fetched again."""
    stale_s: float = 86_400.0
    """Maximum age of cached signing keys while the issuer is unreachable."""
    retry_s: float = 10.0
    """Minimum time between the starts of two fetches, so that tokens with unknown key ids cannot flood the issuer."""
    fetch_s: float = 5.0
    """Maximum time for a whole fetch, so that an issuer that sends a byte per second is given up."""

    def __post_init__(self) -> None:
        if not (self.issuer.startswith("https://") or _is_on_this_machine(self.issuer)):
            raise UsageError(
                f"the OIDC issuer is {self.issuer!r}, expected an https:// URL: "
                "without TLS, anyone on the network path could replace the signing keys."
            )
        wrong = [name for name in self.algorithms if name not in ALLOWED_ALGORITHMS]
        if wrong or not self.algorithms:
            raise UsageError(
                f"the OIDC algorithm {wrong[0] if wrong else ''!r} is not supported; "
                f"choose among {', '.join(ALLOWED_ALGORITHMS)}."
            )


def _is_on_this_machine(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")


class TokenVerifier:
    """Verifies bearer tokens of one issuer.

    Signing keys are fetched in the background. A token waits for a fetch only if its key is unknown.
    """

    def __init__(
        self, settings: OidcSettings, client: httpx.AsyncClient, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings, self._client, self._now = settings, client, now
        self._keys: dict[str, dict[str, Any]] = {}
        self._built: dict[tuple[int, str], jwt.PyJWK] = {}
        """By the entry's identity. Building a key costs as much as verifying a token."""
        self._fetched_at = self._tried_at = float("-inf")
        self._fetch_task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.problem: str | None = None
        """Why the last fetch of the signing keys failed; None if it succeeded."""

    async def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of a valid token.

        Raises:
            TokenRejected: Its form, key, signature, issuer, audience or time is wrong.
            IssuerUnavailable: There are no signing keys to verify it with.
        """
        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise TokenRejected(f"the token is {len(token)} characters long, the maximum is {_MAX_TOKEN_CHARACTERS}.")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError, RecursionError) as err:
            raise TokenRejected("the token is not a JWT.") from err
        algorithm = header.get("alg")
        if algorithm not in self._settings.algorithms:
            raise TokenRejected(
                f"the token is signed with {algorithm!r:.20}, expected {' or '.join(self._settings.algorithms)}."
            )
        key = self._key_for(await self._entry(str(header.get("kid", ""))), algorithm)
        try:
            return dict(
                jwt.decode(
                    token,
                    key,
                    algorithms=[algorithm],
                    issuer=self._settings.issuer,
                    audience=self._settings.audience,
                    leeway=self._settings.clock_skew_s,
                    options={"require": ["exp", "iss", "aud"]},
                )
            )
        except jwt.InvalidTokenError as err:
            raise TokenRejected(f"the token was refused: {err}.") from err
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError, TypeError) as err:
            raise TokenRejected("the token was refused: it cannot be read.") from err

    def _key_for(self, entry: dict[str, Any], algorithm: str) -> jwt.PyJWK:
        """The token names an allowed algorithm, but its key verifies only the algorithm that it is meant for."""
        built = self._built.get((id(entry), algorithm))
        if built is None:
            try:
                if entry["kty"] != _KEY_KINDS[algorithm[:2]] or entry.get("alg", algorithm) != algorithm:
                    raise ValueError
                built = jwt.PyJWK(entry, algorithm=algorithm)
            except (jwt.PyJWTError, ValueError, TypeError) as err:
                raise TokenRejected(
                    f"the token is signed with {algorithm}, but its key is for another algorithm."
                ) from err
            self._built[id(entry), algorithm] = built
        return built

    async def _entry(self, key_id: str) -> dict[str, Any]:
        age = self._now() - self._fetched_at
        if age > self._settings.refresh_s or key_id not in self._keys:
            fetch = self._fetch_soon()
            if fetch is not None and (age > self._settings.stale_s or key_id not in self._keys):
                await asyncio.wait([fetch])  # it ends in time, and unlike the task itself, waiting can be cancelled
                age = self._now() - self._fetched_at
        if age > self._settings.stale_s:
            raise IssuerUnavailable(f"the issuer {self._settings.issuer} cannot be reached for its signing keys.")
        entry = self._keys.get(key_id)
        if entry is None and self.problem is not None:
            raise IssuerUnavailable(
                f"the token is signed with a new key, and the issuer {self._settings.issuer} cannot be reached for it."
            )
        if entry is None:
            raise TokenRejected("the token is signed with a key that the issuer does not publish.")
        return entry

    def _fetch_soon(self) -> "asyncio.Task[None] | None":
        """Return the fetch that runs, or a new one; None if the last one began too recently."""
        if self._fetch_task is not None and not self._fetch_task.done():
            return self._fetch_task
        if self._now() - self._tried_at < self._settings.retry_s:
            return None
        self._tried_at = self._now()
        self._fetch_task = asyncio.create_task(self._refresh())
        return self._fetch_task

    async def _refresh(self) -> None:
        """Fetch the keys, and come back when they are old: a withdrawn key is then unknown even without requests."""
        try:
            async with asyncio.timeout(self._settings.fetch_s):
                self._keys, self._built = await self._fetch(), {}
            self._fetched_at = self._now()
            self.problem = None
        except TimeoutError:
            self.problem = f"signing keys of {self._settings.issuer}: no answer within {self._settings.fetch_s:g} s"
        except Exception as err:  # whatever the issuer sends must not end the refreshes
            self.problem = f"signing keys of {self._settings.issuer}: {type(err).__name__}: {err!s:.200}"
        if self._timer is not None:
            self._timer.cancel()
        again_s = self._settings.refresh_s if self.problem is None else self._settings.retry_s
        self._timer = asyncio.get_running_loop().call_later(again_s, self._fetch_soon)

    async def _fetch(self) -> dict[str, dict[str, Any]]:
        issuer = self._settings.issuer
        timeout = self._settings.fetch_s
        answer = await self._client.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration", timeout=timeout)
        answer.raise_for_status()
        document = answer.json()
        if document["issuer"] != issuer:
            raise ValueError(f"the discovery document names the issuer {document['issuer']!r}")
        answer = await self._client.get(document["jwks_uri"], timeout=timeout)
        answer.raise_for_status()
        # The set may contain encryption keys and unknown key types. One that cannot be read must not affect the others.
        return {str(entry.get("kid", "")): entry for entry in answer.json()["keys"] if _is_for_signing(entry)}


def _is_for_signing(entry: Any) -> bool:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") not in _KEY_KINDS.values():
        return False
    try:
        jwt.PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
    return True
