"""Ask a Prefect server over its REST API, without importing Prefect, which takes seconds."""

from dataclasses import dataclass, field
from typing import Any

from platform_lib.errors import ServiceError

_TIMEOUT_S = 15.0
_LOCAL_REMEDY = "`mlp status` shows which services of the local platform are running."


@dataclass(frozen=True, kw_only=True, slots=True)
class PrefectApi:
    """A Prefect server and the login to it."""

    url: str
    """Address of the API; ends with `/api`."""
    auth: str | None = field(default=None, repr=False)
    """`user:password`; None if the server asks for none."""
    remedy: str = _LOCAL_REMEDY
    """What to do if the server does not answer, in a sentence."""

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a request and return the JSON of the response; None if there is no such object (404).

        Args:
            method: Of HTTP.
            path: Below the API's address, such as `flows/`.
            body: Sent as JSON.
        Raises:
            ServiceError: The server does not answer or refuses the request.
        """
        import httpx

        address = f"{self.url.rstrip('/')}/{path}"
        user, _, password = (self.auth or "").partition(":")
        try:
            answer = httpx.request(
                method, address, json=body, timeout=_TIMEOUT_S, auth=(user, password) if self.auth else None
            )
        except (httpx.HTTPError, httpx.InvalidURL) as err:
            raise ServiceError(f"Prefect does not answer as expected at {address}: {err}. {self.remedy}") from err
        if answer.status_code == 404:
            return None
        if answer.is_error:
            said = f"status {answer.status_code}: {' '.join(answer.text.split())[:300]}"
            raise ServiceError(f"Prefect does not answer as expected at {address}: {said}. {self.remedy}")
        return answer.json() if answer.content else None
