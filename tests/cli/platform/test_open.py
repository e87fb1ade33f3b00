"""`mlp open` leads a browser to the pages of the local platform, without showing the login to others."""

import re
import stat
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from platform_lib.settings import Project
from tests.conftest import run_mlp
from tests.local_platform.running import SHARES_THE_PLATFORM, address


def test_a_page_of_a_service_that_does_not_run_is_refused_with_what_to_do(project: Project) -> None:
    done = run_mlp(project, "open", "prefect", expect=3)

    assert done.stderr == "error: the Prefect of this project is not running: start it with `mlp up`.\n"


class TestRunning:
    pytestmark = SHARES_THE_PLATFORM

    @pytest.mark.parametrize(("page", "service"), [("mlflow", "mlflow"), ("prefect", "prefect"), ("server", "models")])
    def test_the_printed_link_opens(self, platform: Project, page: str, service: str) -> None:
        link = run_mlp(platform, "open", page, "--print").stdout.strip()

        assert urlsplit(link).netloc == urlsplit(address(platform, service)).netloc
        assert httpx.get(link, headers={"Accept": "text/html"}).status_code == 200

    def test_without_a_browser_the_link_is_printed(self, platform: Project) -> None:
        env = {"BROWSER": "", "DISPLAY": "", "WAYLAND_DISPLAY": ""}

        assert run_mlp(platform, "open", env=env).stdout.startswith(address(platform, "mlflow"))

    def test_the_command_line_of_the_browser_does_not_hold_the_login(self, platform: Project, tmp_path: Path) -> None:
        program, seen = tmp_path / "browser", tmp_path / "seen"
        program.write_text(f'#!/bin/sh\necho "$@" > {seen}\n', encoding="utf-8")
        program.chmod(0o755)

        done = run_mlp(platform, "open", "mlflow", env={"BROWSER": f"{program} %s"})

        assert done.stdout == ""
        assert "ticket" not in seen.read_text()
        file = Path(urlsplit(seen.read_text().strip()).path)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        [link] = re.findall(r'href="(http[^"]+)"', file.read_text())
        assert httpx.get(link.replace("&amp;", "&"), headers={"Accept": "text/html"}).status_code == 200
