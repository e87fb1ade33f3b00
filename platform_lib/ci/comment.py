"""One comment on a pull or merge request, kept up to date."""

from typing import TYPE_CHECKING, Any

from platform_lib.ci.runner import Runner
from platform_lib.errors import ServiceError
from platform_lib.names import Env

if TYPE_CHECKING:
    import httpx

_TIMEOUT_S = 30.0
_PAGE_SIZE = 100


def why_no_comment(runner: Runner) -> str | None:
    """Why this run cannot comment, as a sentence; None if it can."""
    if not runner.forge:
        return "No comment: this is not a run of GitHub Actions or GitLab CI."
    if not runner.pull_request:
        return "No comment: this run does not belong to a pull request."
    if runner.token is None:
        name = "GITHUB_TOKEN" if runner.forge == "github" else Env.GITLAB_TOKEN
        return f"No comment: this run has no {name}. Runs of forks and of other accounts never have one."
    return None


def write_comment(runner: Runner, name: str, text: str) -> str:
    """Write the comment, or replace the one that an earlier run wrote.

    Args:
        runner: A run that can comment; see `why_no_comment`.
        name: Distinguishes the comments of several models on one pull request.
        text: Markdown.
    Returns:
        `created` or `updated`.
    Raises:
        ServiceError: The forge does not answer, or refuses the comment.
    """
    import httpx

    mark = f"<!-- mlp ci comment: {name} -->"
    body = {"body": f"{mark}\n{text}"}
    github = runner.forge == "github"
    if github:
        headers = {"Authorization": f"Bearer {runner.token}", "Accept": "application/vnd.github+json"}
        base = f"{runner.api_url}/repos/{runner.project}/issues"
        of_request, of_comment = f"{base}/{runner.pull_request}/comments", f"{base}/comments"
    else:
        headers = {"PRIVATE-TOKEN": str(runner.token)}
        of_request = f"{runner.api_url}/projects/{runner.project}/merge_requests/{runner.pull_request}/notes"
        of_comment = of_request
    try:
        with httpx.Client(headers=headers, timeout=_TIMEOUT_S, follow_redirects=True) as client:
            existing = _find(client, of_request, mark)
            if existing is None:
                client.post(of_request, json=body).raise_for_status()
                return "created"
            client.request("PATCH" if github else "PUT", f"{of_comment}/{existing}", json=body).raise_for_status()
            return "updated"
    except httpx.HTTPStatusError as err:
        raise ServiceError(
            f"{err.request.method} {err.request.url} returned {err.response.status_code}: {err.response.text:.300} "
            "The token needs the right to write comments on pull requests."
        ) from err
    except httpx.HTTPError as err:
        raise ServiceError(f"{runner.api_url} does not answer: {type(err).__name__}.") from err


def _find(client: "httpx.Client", url: str, mark: str) -> str | None:
    """The id of the comment that begins with `mark`, on any page of the list."""
    page: str | None = f"{url}?per_page={_PAGE_SIZE}"
    while page:
        response = client.get(page)
        response.raise_for_status()
        comments: list[dict[str, Any]] = response.json()
        for comment in comments:
            if str(comment.get("body", "")).startswith(mark):
                return str(comment["id"])
        page = response.links.get("next", {}).get("url")
    return None
