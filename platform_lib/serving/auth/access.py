"""Authenticate callers and check their scopes. `api_keys` and `oidc` verify the two kinds of credentials."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from platform_lib.serving.auth.api_keys import SCOPES, KeyRing, Scope
from platform_lib.serving.problems import Problem, as_text

if TYPE_CHECKING:
    from platform_lib.serving.auth.oidc import TokenVerifier

_NAME_CHARACTERS = 128
"""The maximum length of a request id as well. The subject is stored with every row of the request log."""
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="models"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request."""

    name: str
    """The key's name or the token's subject, as stored in the request log."""
    scopes: frozenset[str]


ANONYMOUS = Caller("", frozenset(SCOPES))
"""The caller of a server that requires no key, because it listens on the loopback interface only."""


class Access:
    """Authorizes requests. With neither keys nor an issuer, every caller has every scope."""

    def __init__(self, keys: KeyRing | None = None, tokens: "TokenVerifier | None" = None) -> None:
        self._keys, self._tokens = keys, tokens

    @property
    def is_open(self) -> bool:
        """Whether no credentials are required."""
        return self._keys is None and self._tokens is None

    @property
    def problems(self) -> list[str]:
        """What is wrong with the key file or the issuer now."""
        found = [self._keys.problem if self._keys else None, self._tokens.problem if self._tokens else None]
        return [problem for problem in found if problem]

    async def check(self, headers: Mapping[str, str], scope: Scope | None = None) -> Caller:
        """Return the caller if it has the scope; with None, any known caller.

        Args:
            headers: Of the request, names in lower case; `Authorization: Bearer …` or `X-API-Key: …`.
            scope: What the caller must be allowed to do.
        Raises:
            Problem: 401 not authenticated, 403 the scope is missing, 503 the issuer is unreachable.
        """
        if self.is_open:
            return ANONYMOUS
        caller = await self._caller(_credential(headers))
        if scope is not None and scope not in caller.scopes:
            raise Problem(
                403,
                f"{caller.name} has the scopes {', '.join(sorted(caller.scopes)) or 'none'}; "
                f"this request needs the scope {scope}.",
            )
        return caller

    async def _caller(self, credential: str) -> Caller:
        if self._keys is not None and (entry := self._keys.find(credential)) is not None:
            return Caller(entry.name, frozenset(entry.scopes))
        if self._tokens is not None and credential.count(".") == 2:
            from platform_lib.serving.auth.oidc import IssuerUnavailable, TokenRejected

            try:
                return _from_claims(await self._tokens.verify(credential))
            except TokenRejected as err:
                raise Problem(401, str(err), headers=_CHALLENGE) from err
            except IssuerUnavailable as err:
                raise Problem(503, str(err), headers={"Retry-After": "10"}) from err
        raise Problem(401, "the key is unknown: it was revoked, or it belongs to another server.", headers=_CHALLENGE)


def _credential(headers: Mapping[str, str]) -> str:
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credential:
        return credential.strip()
    if key := headers.get("x-api-key"):
        return key
    raise Problem(401, "the key is missing: send `Authorization: Bearer KEY` or `X-API-Key: KEY`.", headers=_CHALLENGE)


def _from_claims(claims: Mapping[str, Any]) -> Caller:
    """Read OAuth's `scope`, a string with spaces, or `scp`, which some issuers send as a list. Any other form means no
    scopes, and scopes of other services are ignored."""
    given = claims.get("scope", claims.get("scp", ""))
    named = (
        given.split()
        if isinstance(given, str)
        else [item for item in given if isinstance(item, str)]
        if isinstance(given, list)
        else []
    )
    name = as_text(str(claims.get("sub", "")))[:_NAME_CHARACTERS]
    return Caller(name, frozenset(named) & frozenset(SCOPES))
