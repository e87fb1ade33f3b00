"""What a CI runner says about itself: GitHub Actions or GitLab CI, by their environment variables."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from platform_lib.names import Env

Forge = Literal["github", "gitlab", ""]


@dataclass(frozen=True, kw_only=True, slots=True)
class Runner:
    """The CI run that this process belongs to."""

    forge: Forge = ""
    """Empty outside of both."""
    api_url: str = ""
    project: str = ""
    """`owner/name` on GitHub, the number of the project on GitLab."""
    pull_request: str = ""
    """Number of the pull or merge request; empty if the run has none."""
    run_url: str = ""
    token: str | None = None
    """For the forge's API."""
    summary: Path | None = None
    """File that GitHub shows on the page of the run."""


def find_runner(environ: Mapping[str, str]) -> Runner:
    """Read the environment of a CI run. `Runner()` if it is not one."""
    if environ.get("GITHUB_ACTIONS") == "true":
        project = environ.get("GITHUB_REPOSITORY", "")
        summary = environ.get("GITHUB_STEP_SUMMARY")
        return Runner(
            forge="github",
            api_url=environ.get("GITHUB_API_URL", "https://api.github.com"),
            project=project,
            pull_request=_pull_request(environ.get("GITHUB_EVENT_PATH", "")),
            run_url=f"{environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{project}/actions/runs/"
            f"{environ.get('GITHUB_RUN_ID', '')}",
            token=environ.get("GITHUB_TOKEN") or None,
            summary=Path(summary) if summary else None,
        )
    if environ.get("GITLAB_CI") == "true":
        return Runner(
            forge="gitlab",
            api_url=environ.get("CI_API_V4_URL", "https://gitlab.com/api/v4"),
            project=environ.get("CI_PROJECT_ID", ""),
            pull_request=environ.get("CI_MERGE_REQUEST_IID", ""),
            run_url=environ.get("CI_JOB_URL", ""),
            token=environ.get(Env.GITLAB_TOKEN) or None,
        )
    return Runner()


def _pull_request(event_file: str) -> str:
    """The number in the file that describes the event of a GitHub run."""
    try:
        event = json.loads(Path(event_file).read_text(encoding="utf-8"))
        return str(event["pull_request"]["number"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
