"""What `mlp doctor` reports about remote addresses; the tests use a local server, never the internet."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_lib.local_platform import network
from platform_lib.local_platform.network import Target
from platform_lib.settings import Project, Settings
from tests.conftest import free_port


@pytest.fixture
def server() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(404)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


@pytest.fixture
def with_remotes(tmp_path: Path) -> Project:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text(
        "[core]\n    remote = folder\n"
        "['remote \"folder\"']\n    url = ../../storage\n"
        "['remote \"bucket\"']\n    url = s3://bucket/path\n    endpointurl = http://127.0.0.1:1\n"
    )
    return Project(root=tmp_path, name="a", package="a")


def test_any_response_counts(server: str) -> None:
    answer = network.ask(server)
    assert answer.error is None
    assert answer.server_time is not None


def test_an_unreachable_home_address_is_a_note() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    finding = network.finding_of(Target(name="project home", url=url, needed=False), network.ask(url).error)
    assert finding.level == "note"


def test_an_unreachable_configured_server_is_a_problem() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    finding = network.finding_of(Target(name="MLFLOW_TRACKING_URI", url=url, needed=True), network.ask(url).error)
    assert finding.level == "problem"
    assert "unset it" in finding.remedy


def test_passwords_in_addresses_are_not_shown() -> None:
    finding = network.finding_of(
        Target(name="MLFLOW_TRACKING_URI", url="http://ada:secret@host:1", needed=True), "refused"
    )
    assert "secret" not in finding.text


def test_only_configured_servers_are_checked(with_remotes: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "home_url", lambda: "https://home.example.invalid")
    settings = Settings(
        tracking_uri="http://mlflow.example.invalid", prefect_api_url="http://prefect.example.invalid/api"
    )
    assert {target.name: target.url for target in network.targets(with_remotes, settings)} == {
        "project home": "https://home.example.invalid",
        "MLFLOW_TRACKING_URI": "http://mlflow.example.invalid",
        "PREFECT_API_URL": "http://prefect.example.invalid/api/health",
        "DVC remote bucket": "http://127.0.0.1:1",
    }


def test_a_local_store_is_not_checked_over_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "home_url", lambda: "")
    assert network.targets(Project(root=tmp_path, name="a", package="a"), Settings(tracking_uri="sqlite:///x.db")) == []


def test_a_folder_remote_is_relative_to_the_dvc_folder(with_remotes: Project) -> None:
    [finding] = network.folder_remotes(with_remotes)
    assert (finding.area, finding.text) == ("DVC remote folder", str(with_remotes.root.parent / "storage"))


def test_the_home_address_is_the_installed_librarys() -> None:
    assert network.home_url() == "https://github.com/cloud-ml-platform/cloud-ml-platform"


@pytest.mark.parametrize(
    ("here", "level", "text"),
    [
        (1000.0, "ok", "accurate to within 2 s"),
        (1000.0 + 600, "problem", "10 minutes ahead"),
        (1000.0 - 600, "problem", "10 minutes behind"),
    ],
    ids=["right", "ahead", "behind"],
)
def test_the_clock_is_compared_with_servers(here: float, level: str, text: str) -> None:
    [finding] = network.check_clock([1000.0, 1000.0, 5.0], now=here)
    assert (finding.level, finding.text) == (level, text)


def test_without_servers_the_clock_is_not_checked() -> None:
    [finding] = network.check_clock([])
    assert finding.level == "note"


def test_a_servers_time_has_whole_seconds(server: str) -> None:
    import time

    answer = network.ask(server)
    assert abs(float(answer.server_time or 0) - time.time()) < 60
