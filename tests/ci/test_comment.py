"""`mlp ci comment` keeps one comment per pull request, against servers with the forges' APIs."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from platform_lib.settings import Project
from tests.conftest import Called

PAGE = 2
"""Comments per page, so that a few of them need a second page."""


@dataclass
class Forge:
    """The comments of one pull request, as GitHub and GitLab serve them."""

    comments: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path without query, and login of each request."""
    status: int = 200
    url: str = ""


@pytest.fixture
def forge() -> Iterator[Forge]:
    state = Forge()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def _answer(self) -> None:
            path, _, query = self.path.partition("?")
            login = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN")
            state.requests.append((self.command, path, login))
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
            more = None
            if self.command == "POST":
                state.comments.append({"id": len(state.comments) + 1, **body})
            elif self.command in ("PATCH", "PUT"):
                state.comments[int(path.rsplit("/", 1)[1]) - 1] |= body
            else:
                number = int(query.partition("page=")[2]) if "&page=" in f"&{query}" and "per_page" not in query else 1
                shown = state.comments[(number - 1) * PAGE : number * PAGE]
                if number * PAGE < len(state.comments):
                    more = f'<{state.url}{path}?page={number + 1}>; rel="next"'
                body = shown
            content = json.dumps(body).encode()
            self.send_response(state.status)
            if more:
                self.send_header("Link", more)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = _answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()


def on_github(forge: Forge, folder: Path) -> dict[str, str]:
    event = folder / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 12}}), encoding="utf-8")
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": forge.url,
        "GITHUB_REPOSITORY": "team/churn",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_TOKEN": "of-the-run",
    }


def on_gitlab(forge: Forge, folder: Path) -> dict[str, str]:
    return {
        "GITLAB_CI": "true",
        "CI_API_V4_URL": forge.url,
        "CI_PROJECT_ID": "7",
        "CI_MERGE_REQUEST_IID": "12",
        "MLP_GITLAB_TOKEN": "of-the-run",
    }


RUNNERS = {
    "github": (on_github, "/repos/team/churn/issues/12/comments", "/repos/team/churn/issues/comments/4", "PATCH"),
    "gitlab": (on_gitlab, "/projects/7/merge_requests/12/notes", "/projects/7/merge_requests/12/notes/4", "PUT"),
}


@pytest.mark.parametrize("name", RUNNERS)
def test_a_later_run_replaces_the_comment_of_an_earlier_one(
    name: str,
    forge: Forge,
    project: Project,
    call_mlp: Callable[..., Called],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variables, listed, of_comment, change = RUNNERS[name]
    for variable, value in variables(forge, tmp_path).items():
        monkeypatch.setenv(variable, value)
    page = tmp_path / "candidate.md"
    forge.comments += [{"id": number, "body": "from a person"} for number in (1, 2, 3)]
    page.write_text("first", encoding="utf-8")
    assert call_mlp(project, "ci", "comment", str(page)).out == "The comment on #12 was created.\n"
    page.write_text("second", encoding="utf-8")
    assert call_mlp(project, "ci", "comment", str(page)).out == "The comment on #12 was updated.\n"
    assert [comment["body"] for comment in forge.comments] == [
        *["from a person"] * 3,
        "<!-- mlp ci comment: sample-model -->\nsecond",
    ]
    assert {path for method, path, _ in forge.requests if method == "POST"} == {listed}
    assert [path for method, path, _ in forge.requests if method == change] == [of_comment]
    assert {login for *_, login in forge.requests} == {"Bearer of-the-run" if name == "github" else "of-the-run"}


@pytest.mark.parametrize(
    ("name", "missing", "says"),
    [
        ("github", "GITHUB_TOKEN", "No comment: this run has no GITHUB_TOKEN."),
        ("gitlab", "MLP_GITLAB_TOKEN", "No comment: this run has no MLP_GITLAB_TOKEN."),
        ("github", "GITHUB_EVENT_PATH", "No comment: this run does not belong to a pull request."),
        ("gitlab", "CI_MERGE_REQUEST_IID", "No comment: this run does not belong to a pull request."),
        ("gitlab", "GITLAB_CI", "No comment: this is not a run of GitHub Actions or GitLab CI."),
    ],
)
def test_without_an_account_or_a_pull_request_it_says_so_and_succeeds(
    name: str,
    missing: str,
    says: str,
    forge: Forge,
    project: Project,
    call_mlp: Callable[..., Called],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in RUNNERS[name][0](forge, tmp_path).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv(missing)
    (tmp_path / "candidate.md").write_text("text", encoding="utf-8")
    called = call_mlp(project, "ci", "comment", str(tmp_path / "candidate.md"))
    assert (called.code, says in called.out, forge.requests) == (0, True, [])


def test_a_refused_comment_is_an_error_that_names_the_right_it_needs(
    forge: Forge, project: Project, call_mlp: Callable[..., Called], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in on_github(forge, tmp_path).items():
        monkeypatch.setenv(variable, value)
    forge.status = 403
    (tmp_path / "candidate.md").write_text("text", encoding="utf-8")
    called = call_mlp(project, "ci", "comment", str(tmp_path / "candidate.md"))
    assert called.code == 3
    assert "returned 403" in called.err
    assert "the right to write comments" in called.err
