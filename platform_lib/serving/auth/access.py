"""Who may ask for what: an API key or an issuer's token becomes a name and scopes, or a refusal. `keys` and `oidc` know the two kinds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from platform_lib.serving.auth.api_keys import SCOPES, KeyRing, Scope
from platform_lib.serving.problems import Problem

if TYPE_CHECKING:
    from platform_lib.serving.auth.oidc import TokenVerifier

_NAME_CHARACTERS = 128
"""As long as a request id may be; a subject is kept with every row of the log."""
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="models"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    name: str
    """The key's name, or the token's subject; what the request log keeps."""
    scopes: frozenset[str]


ANONYMOUS = Caller("", frozenset(SCOPES))
"""Who asks a server that needs no key: it listens on this machine only."""


class Access:
    """Decides on each request. With neither keys nor an issuer everybody may do everything."""

    def __init__(self, keys: KeyRing | None = None, tokens: "TokenVerifier | None" = None) -> None:
        self._keys, self._tokens = keys, tokens

    @property
    def is_open(self) -> bool:
        """Whether callers need not prove who they are."""
        return self._keys is None and self._tokens is None

    @property
    def problems(self) -> list[str]:
        """What is wrong with the key file or the issuer now."""
        found = [self._keys.problem if self._keys else None, self._tokens.problem if self._tokens else None]
        return [problem for problem in found if problem]

    async def check(self, headers: Mapping[str, str], scope: Scope | None = None) -> Caller:
        """The caller, when it may do what `scope` stands for; None asks only who it is.

        Args:
            headers: Of the request; `Authorization: Bearer …` or `X-API-Key: …`.
        Raises:
            Problem: 401 who are you, 403 not allowed, 503 the issuer cannot be asked.
        """
        if self.is_open:
            return ANONYMOUS
        caller = await self._caller(_credential(headers))
        if scope is not None and scope not in caller.scopes:
            raise Problem(
                403,
                f"{caller.name} may {', '.join(sorted(caller.scopes)) or 'nothing here'}; this needs the scope {scope}.",
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
        raise Problem(401, "the key is not known: it was revoked, or never was one of this server.", headers=_CHALLENGE)


def _credential(headers: Mapping[str, str]) -> str:
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credential:
        return credential.strip()
    if key := headers.get("x-api-key"):
        return key
    raise Problem(401, "there is no key: send `Authorization: Bearer KEY`, or `X-API-Key: KEY`.", headers=_CHALLENGE)


def _from_claims(claims: Mapping[str, Any]) -> Caller:
    """OAuth's `scope` is one text with spaces; some issuers send `scp` as a list. Another form gives none, and other scopes are no matter of ours."""
    given = claims.get("scope", claims.get("scp", ""))
    named = (
        given.split()
        if isinstance(given, str)
        else [item for item in given if isinstance(item, str)]
        if isinstance(given, list)
        else []
    )
    return Caller(str(claims.get("sub", ""))[:_NAME_CHARACTERS], frozenset(named) & frozenset(SCOPES))
