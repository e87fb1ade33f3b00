"""git's settings while Copier runs."""

import os
import subprocess

from platform_lib.updates.copier_command import git_environment


def test_the_settings_follow_those_that_the_environment_has_already() -> None:
    environ = {**os.environ, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "Ours"}

    def value(name: str) -> str:
        command = ["git", "config", name]
        env = environ | git_environment(environ)
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()

    assert value("user.name") == "Ours"
    assert value("status.showUntrackedFiles") == "all"
