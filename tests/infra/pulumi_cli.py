"""The real Pulumi command-line tool in tests: its location and its plugins."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.engines import need_engine

needs_pulumi = pytest.mark.usefixtures("pulumi_engine")
needs_kubernetes_provider = pytest.mark.usefixtures("kubernetes_provider_engine")


def pulumi_path(folder: Path) -> str:
    """`PATH` with the tool and a language host: Pulumi's own, or the one of these tests where only the tool was built.

    Args:
        folder: Where a program may be put.
    """
    places = [str(need_engine("pulumi", "make pulumi").parent), os.environ.get("PATH", "")]
    if shutil.which("pulumi-language-python", path=os.pathsep.join(places)) is None:
        folder.mkdir(parents=True, exist_ok=True)
        host = folder / "pulumi-language-python"
        host.write_text(
            f'#!/bin/sh\nPYTHONPATH="{REPOSITORY}" exec "{sys.executable}" -m tests.infra.harness.language_host "$@"\n',
            encoding="utf-8",
        )
        host.chmod(0o755)
        places.append(str(folder))
    return os.pathsep.join(places)


def pulumi_environment(folder: Path) -> dict[str, str]:
    """What keeps the tool's state in a folder, with no login and no downloads."""
    return {
        "PULUMI_BACKEND_URL": f"file://{folder.as_posix()}",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
